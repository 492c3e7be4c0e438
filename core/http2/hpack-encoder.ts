import type { OutBuffer } from "./out-buffer.ts";
import { DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD, STATIC_TABLE } from "./static-table.ts";

/** A name that the static table knows: the index of its first entry, and of entries by value. */
interface StaticName {
  readonly index: number;
  readonly values: Map<string, number>;
}

const STATIC_BY_NAME = new Map<string, StaticName>();
for (const [i, [name, value]] of STATIC_TABLE.entries()) {
  const known = STATIC_BY_NAME.get(name) ?? { index: i + 1, values: new Map<string, number>() };
  if (value !== "") known.values.set(value, i + 1);
  STATIC_BY_NAME.set(name, known);
}

/** RFC 7541 §7.1.3: what no intermediary may put into a table either. */
const SECRET: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "set-cookie",
  "x-api-key",
]);

/** What differs from message to message would only push out what repeats. A date is the same for a second. */
const FLEETING: ReadonlySet<string> = new Set([
  ":path",
  "age",
  "content-length",
  "content-range",
  "etag",
  "forwarded",
  "grpc-message",
  "grpc-timeout",
  "last-modified",
  "location",
  "traceparent",
  "x-forwarded-for",
  "x-request-id",
]);

/** Above this many bytes of name and value a field is not worth its place in the table. */
const LONG = 256;

/**
 * Encodes the header blocks of one direction of one connection (RFC 7541). Strings go as they are: Huffman code
 * would save bytes where the table already saves most, and cost time.
 */
export class HpackEncoder {
  /** Of the dynamic table: by name and value, the number of the insertion, from 1. */
  readonly #byName = new Map<string, Map<string, number>>();
  /** Names and values in the order of insertion; `#first` is the oldest that is in. */
  #entries: string[] = [];
  #inserted = 0;
  #evicted = 0;
  #size = 0;
  #maxSize = DEFAULT_TABLE_SIZE;
  /** A change of the size that the peer must be told (RFC 7541 §4.2): the smallest since, and the last. */
  #smallest = -1;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  set tableSize(size: number) {
    const wanted = Math.min(size, DEFAULT_TABLE_SIZE);
    if (wanted === this.#maxSize) return;
    this.#smallest = this.#smallest < 0 ? wanted : Math.min(this.#smallest, wanted);
    this.#maxSize = wanted;
    this.#evict(0);
  }

  /** Appends the block of `flat` (name, value, name, value …; latin-1) to `out`. */
  encode(flat: readonly string[], out: OutBuffer): void {
    if (this.#smallest >= 0) {
      out.reserve(16);
      if (this.#smallest < this.#maxSize) integer(out, 0x20, 0x1f, this.#smallest);
      integer(out, 0x20, 0x1f, this.#maxSize);
      this.#smallest = -1;
    }
    for (let i = 0; i < flat.length; i += 2) this.#field(flat[i]!, flat[i + 1]!, out);
  }

  #field(name: string, value: string, out: OutBuffer): void {
    const known = STATIC_BY_NAME.get(name);
    const exact = known?.values.get(value);
    // Six bytes are the longest prefix of a length that fits a string of the runtime.
    out.reserve(name.length + value.length + 24);
    if (exact !== undefined) {
      integer(out, 0x80, 0x7f, exact);
      return;
    }
    const inserted = this.#byName.get(name);
    const at = inserted?.get(value);
    if (at !== undefined) {
      integer(out, 0x80, 0x7f, this.#indexOf(at));
      return;
    }
    const nameIndex = known?.index ?? 0;
    const size = name.length + value.length + ENTRY_OVERHEAD;
    if (SECRET.has(name)) integer(out, 0x10, 0x0f, nameIndex);
    else if (FLEETING.has(name) || size > LONG + ENTRY_OVERHEAD || size > this.#maxSize) {
      integer(out, 0x00, 0x0f, nameIndex);
    } else {
      integer(out, 0x40, 0x3f, nameIndex);
      this.#insert(name, value, size);
    }
    if (nameIndex === 0) string(out, name);
    string(out, value);
  }

  #indexOf(insertion: number): number {
    return STATIC_TABLE.length + 1 + this.#inserted - insertion;
  }

  #insert(name: string, value: string, size: number): void {
    this.#evict(size);
    this.#entries.push(name, value);
    this.#size += size;
    this.#inserted++;
    const values = this.#byName.get(name);
    if (values === undefined) this.#byName.set(name, new Map([[value, this.#inserted]]));
    else values.set(value, this.#inserted);
  }

  #evict(needed: number): void {
    let dropped = 0;
    while (dropped < this.#entries.length && this.#size + needed > this.#maxSize) {
      const name = this.#entries[dropped]!;
      const value = this.#entries[dropped + 1]!;
      dropped += 2;
      this.#evicted++;
      this.#size -= name.length + value.length + ENTRY_OVERHEAD;
      const values = this.#byName.get(name);
      // A younger twin may have taken its place.
      if (values?.get(value) !== this.#evicted) continue;
      values.delete(value);
      if (values.size === 0) this.#byName.delete(name);
    }
    // At most 128 entries fit: the copy is short.
    if (dropped > 0) this.#entries = this.#entries.slice(dropped);
  }
}

/** RFC 7541 §5.1. */
function integer(out: OutBuffer, pattern: number, mask: number, value: number): void {
  if (value < mask) {
    out.byte(pattern | value);
    return;
  }
  out.byte(pattern | mask);
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) out.byte((rest & 0x7f) | 0x80);
  out.byte(rest);
}

function string(out: OutBuffer, text: string): void {
  integer(out, 0x00, 0x7f, text.length);
  out.end += out.bytes.write(text, out.end, "latin1");
}
