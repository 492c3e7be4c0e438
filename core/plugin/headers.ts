import type { FixedHeaders } from "./fixed-headers.ts";

/** Tells the constructor that the fields need no check. */
const CHECKED: unique symbol = Symbol("checked");

/**
 * An ordered list of header fields: what stood on the wire, in its order, duplicates kept.
 * Names are lower-case (RFC 9113 §8.2; RFC 9110 §5.1 compares them without case). Values are
 * byte strings: one character a byte (latin-1), never re-encoded on the way through.
 */
export class HeaderList implements Iterable<readonly [name: string, value: string]> {
  /**
   * Name, value, name, value … The codecs read and fill it directly; everybody else uses the methods,
   * which refuse what would split a message.
   */
  readonly flat: string[];

  /**
   * @param flat name, value, name, value …; copied.
   * @throws TypeError on an illegal name or value, or a name without a value.
   */
  constructor(flat?: readonly string[]);
  constructor(flat: string[], checked: typeof CHECKED);
  constructor(flat?: readonly string[], checked?: typeof CHECKED) {
    if (flat === undefined) this.flat = [];
    else this.flat = checked === CHECKED ? (flat as string[]) : checkedCopy(flat);
  }

  /** Copies pairs or a `Headers`. @throws TypeError on an illegal name or value. */
  static from(pairs: Iterable<readonly [string, string]>): HeaderList {
    const list = new HeaderList();
    for (const [name, value] of pairs) list.append(name, value);
    return list;
  }

  /** How many fields there are, duplicates counted. */
  get size(): number {
    return this.flat.length >> 1;
  }

  /** The first value under a lower-case `name`, or undefined. */
  get(name: string): string | undefined {
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return flat[i + 1];
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Every value under a lower-case `name`, in order. */
  all(name: string): string[] {
    const values: string[] = [];
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) values.push(flat[i + 1]!);
    return values;
  }

  /** The values joined as one list (RFC 9110 §5.3; cookies by "; "), or undefined where there is none. */
  joined(name: string): string | undefined {
    const values = this.all(name);
    return values.length === 0 ? undefined : values.join(name === "cookie" ? "; " : ", ");
  }

  /** Replaces the first field of that name where it stands, drops the others; appends where there was none. */
  set(name: string, value: string): void {
    const key = checkedName(name);
    checkValue(key, value);
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] !== key) continue;
      flat[i + 1] = value;
      this.#removeFrom(i + 2, key);
      return;
    }
    flat.push(key, value);
  }

  /** Adds a field at the end. @throws TypeError on an illegal name or value. */
  append(name: string, value: string): void {
    const key = checkedName(name);
    checkValue(key, value);
    this.flat.push(key, value);
  }

  /** Removes every field of that name; true when there was one. */
  delete(name: string): boolean {
    return this.#removeFrom(0, name.toLowerCase());
  }

  #removeFrom(start: number, key: string): boolean {
    const flat = this.flat;
    let to = start;
    for (let i = start; i < flat.length; i += 2) {
      if (flat[i] === key) continue;
      if (to !== i) {
        flat[to] = flat[i]!;
        flat[to + 1] = flat[i + 1]!;
      }
      to += 2;
    }
    const removed = to !== flat.length;
    if (removed) flat.length = to;
    return removed;
  }

  /** Adds those of the fields whose names are not there yet, at the end. */
  addMissing({ flat: fixed, names }: FixedHeaders): void {
    const flat = this.flat;
    let present: string[] | undefined;
    for (let i = 0; i < flat.length; i += 2) if (names.has(flat[i]!)) (present ??= []).push(flat[i]!);
    for (let i = 0; i < fixed.length; i += 2) {
      const name = fixed[i]!;
      if (present === undefined || !present.includes(name)) flat.push(name, fixed[i + 1]!);
    }
  }

  /** As {@link set} does, with each of the fields; they stand at the end then. */
  setAll(fields: FixedHeaders): void {
    this.deleteAll(fields.names);
    const { flat: fixed } = fields;
    for (let i = 0; i < fixed.length; i++) this.flat.push(fixed[i]!);
  }

  /** Removes every field of these lower-case names; true when there was one. */
  deleteAll(names: ReadonlySet<string>): boolean {
    const flat = this.flat;
    let to = 0;
    for (let i = 0; i < flat.length; i += 2) {
      if (names.has(flat[i]!)) continue;
      if (to !== i) {
        flat[to] = flat[i]!;
        flat[to + 1] = flat[i + 1]!;
      }
      to += 2;
    }
    const removed = to !== flat.length;
    if (removed) flat.length = to;
    return removed;
  }

  copy(): HeaderList {
    return uncheckedHeaders(this.flat.slice());
  }

  /** A Fetch `Headers` with the same fields (a copy; changes do not flow back). */
  toHeaders(): Headers {
    const headers = new Headers();
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) headers.append(flat[i]!, flat[i + 1]!);
    return headers;
  }

  *[Symbol.iterator](): Iterator<readonly [string, string]> {
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) yield [flat[i]!, flat[i + 1]!];
  }
}

/**
 * A list over `flat` itself, which is not looked at: for a codec, whose parser has refused what may not stand there, and
 * for what was made of such fields. Not for plugins.
 */
export function uncheckedHeaders(flat: string[]): HeaderList {
  return new HeaderList(flat, CHECKED);
}

/** A field name or a method: `token` of RFC 9110 §5.6.2. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Names that were checked, and what they are in lower case. Code has few; it may make up any number of them. */
const KNOWN_NAMES = new Map<string, string>();
const MOST_KNOWN = 1_024;
const LONGEST_KNOWN = 64;

function checkedName(name: string): string {
  const known = KNOWN_NAMES.get(name);
  if (known !== undefined) return known;
  if (!TOKEN.test(name)) throw new TypeError(`illegal header name ${JSON.stringify(name)}`);
  const lower = name.toLowerCase();
  if (KNOWN_NAMES.size < MOST_KNOWN && name.length <= LONGEST_KNOWN) KNOWN_NAMES.set(name, lower);
  return lower;
}

function checkedCopy(flat: readonly string[]): string[] {
  if (flat.length % 2 !== 0) throw new TypeError("a header name without a value");
  const copy: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const key = checkedName(flat[i]!);
    checkValue(key, flat[i + 1]!);
    copy.push(key, flat[i + 1]!);
  }
  return copy;
}

function checkValue(name: string, value: string): void {
  // A plugin in JavaScript may pass anything.
  if (typeof value !== "string") throw new TypeError(`the value of header ${name} is not a string`);
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    // RFC 9110 §5.5: no CR, LF or NUL ever; above 0xFF there is no byte to send.
    if (c === 0 || c === 10 || c === 13 || c > 0xff)
      throw new TypeError(`illegal character in the value of header ${name}`);
  }
}
