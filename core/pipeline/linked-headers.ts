import type { HeaderList } from "sluice/plugin";

/** Where a linked `Headers` keeps its link. */
const LINK: unique symbol = Symbol("link");

type Linked = Headers & { readonly [LINK]?: HeaderLink };

/** The class's own; a linked one has others. */
const { set, append, delete: remove } = Headers.prototype;

/**
 * Keeps a native `Headers`, which a plugin holds, and a {@link HeaderList}, which is the truth, saying the same.
 * What is done to the `Headers` happens to the list at once, so that a field nobody touched keeps its place and
 * its duplicates; what is done to the list reaches the `Headers` with {@link sync}.
 */
export class HeaderLink {
  readonly native: Headers;
  readonly #list: HeaderList;
  readonly #isOurs: (name: string) => boolean;
  /** The list when both agreed last. */
  #then: string[];

  /**
   * @param native a `Headers` of nobody else's that says what `list` says.
   * @param isOurs names that `native` shows and the list is not to have.
   */
  constructor(native: Headers, list: HeaderList, isOurs: (name: string) => boolean) {
    this.native = native;
    this.#list = list;
    this.#isOurs = isOurs;
    this.#then = list.flat.slice();
    const own = native as { -readonly [Key in keyof Linked]: Linked[Key] };
    own[LINK] = this;
    own.set = linkedSet;
    own.append = linkedAppend;
    own.delete = linkedDelete;
  }

  /** Brings what was changed in the list into the `Headers`. */
  sync(): void {
    const flat = this.#list.flat;
    if (isSame(flat, this.#then)) return;
    for (const name of changedNames(this.#then, flat)) {
      remove.call(this.native, name);
      for (let i = 0; i < flat.length; i += 2)
        if (flat[i] === name) append.call(this.native, name, flat[i + 1]!);
    }
    this.#then = flat.slice();
  }

  /** Brings into the list what `other`, a changed copy of the `Headers`, has otherwise. */
  take(other: Headers): void {
    const now = flatten(other);
    for (const name of changedNames(flatten(this.native), now))
      if (!this.#isOurs(name)) replaceField(this.#list, name, now);
    this.sync();
  }

  /** Follows a change of the `Headers`, before which both agreed. */
  follow(change: (list: HeaderList, name: string, value: string) => void, name: string, value: string): void {
    const key = name.toLowerCase();
    if (this.#isOurs(key)) return;
    change(this.#list, key, value);
    this.#then = this.#list.flat.slice();
  }
}

function linkedSet(this: Linked, name: string, value: string): void {
  // What was done to the list comes first: the change is one of what both say.
  this[LINK]?.sync();
  set.call(this, name, value);
  this[LINK]?.follow((list, key, text) => list.set(key, text), name, fetchValue(value));
}

function linkedAppend(this: Linked, name: string, value: string): void {
  this[LINK]?.sync();
  append.call(this, name, value);
  this[LINK]?.follow((list, key, text) => list.append(key, text), name, fetchValue(value));
}

function linkedDelete(this: Linked, name: string): void {
  this[LINK]?.sync();
  remove.call(this, name);
  this[LINK]?.follow((list, key) => list.delete(key), name, "");
}

/** Fetch's normal form of a value: text without white space around it (Fetch, "normalize"). */
export function fetchValue(value: unknown): string {
  const text = String(value);
  const first = text.charCodeAt(0);
  const last = text.charCodeAt(text.length - 1);
  return first > 0x20 && last > 0x20 ? text : text.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
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
