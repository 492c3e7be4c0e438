import type { HeaderList } from "sluice/plugin";

/**
 * Keeps a Fetch `Headers` and a {@link HeaderList} saying the same. The list is the truth; the `Headers` is
 * what a plugin holds, and nothing tells when it is changed, so both sides are compared with what they were
 * when they last agreed. Only fields that differ are touched: order, duplicates and the letter of everything
 * else stay as they came.
 */
export class HeaderMirror {
  readonly native: Headers;
  readonly #list: HeaderList;
  readonly #ignored: (name: string) => boolean;
  #nativeThen: string[];
  #listThen: string[];

  /**
   * @param native holds what `list` holds, and may hold fields more that `ignored` names.
   * @param ignored names whose changes in `native` do not flow back.
   */
  constructor(native: Headers, list: HeaderList, ignored: (name: string) => boolean) {
    this.native = native;
    this.#list = list;
    this.#ignored = ignored;
    this.#nativeThen = flatten(native);
    this.#listThen = list.flat.slice();
  }

  /** Brings what was changed in the `Headers` into the list. */
  pull(): void {
    const now = flatten(this.native);
    if (isSame(now, this.#nativeThen)) return;
    this.#take(now);
    this.#nativeThen = now;
  }

  /** Brings into the list what `other`, made from the `Headers`, has that they have not, and the reverse. */
  take(other: Headers): void {
    this.pull();
    this.#take(flatten(other));
  }

  #take(now: readonly string[]): void {
    for (const name of changedNames(this.#nativeThen, now)) {
      if (!this.#ignored(name)) replaceField(this.#list, name, now);
    }
    this.#listThen = this.#list.flat.slice();
  }

  /** Brings what was changed in the list into the `Headers`; what was changed there comes first. */
  sync(): void {
    this.pull();
    const flat = this.#list.flat;
    if (isSame(flat, this.#listThen)) return;
    for (const name of changedNames(this.#listThen, flat)) {
      this.native.delete(name);
      for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) this.native.append(name, flat[i + 1]!);
    }
    this.#nativeThen = flatten(this.native);
    this.#listThen = flat.slice();
  }
}

/** Gives `list` the values that `flat` has under `name`, at the place where it had one. */
export function replaceField(list: HeaderList, name: string, flat: readonly string[]): void {
  let first = true;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] !== name) continue;
    if (first) list.set(name, flat[i + 1]!);
    else list.append(name, flat[i + 1]!);
    first = false;
  }
  if (first) list.delete(name);
}

/** Name, value, name, value … as `Headers` iterates: sorted, duplicates joined except `set-cookie`. */
export function flatten(headers: Headers): string[] {
  const flat: string[] = [];
  headers.forEach((value, name) => {
    flat.push(name, value);
  });
  return flat;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function changedNames(before: readonly string[], after: readonly string[]): Set<string> {
  const changed = new Set<string>();
  collectChanged(before, after, changed);
  collectChanged(after, before, changed);
  return changed;
}

/** Adds the names in `from` whose values are others in `to`. */
function collectChanged(from: readonly string[], to: readonly string[], changed: Set<string>): void {
  for (let i = 0; i < from.length; i += 2) {
    const name = from[i]!;
    if (!changed.has(name) && valuesOf(from, name) !== valuesOf(to, name)) changed.add(name);
  }
}

function valuesOf(flat: readonly string[], name: string): string {
  let values = "";
  // A line feed is in no value, so it tells two fields from one.
  for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) values += `\n${flat[i + 1]!}`;
  return values;
}
