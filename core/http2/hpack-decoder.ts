import { flawOf, TOO_LARGE } from "./field-flaws.ts";
import { HpackReader, nonsense } from "./hpack-reader.ts";
import { DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD, STATIC_TABLE } from "./static-table.ts";

/** Bounds on a decoded list. */
export interface FieldLimits {
  /** Bytes of names and values. */
  readonly headerBytes: number;
  readonly headerCount: number;
}

const STATIC_COUNT = STATIC_TABLE.length;
const STATIC_NAMES = STATIC_TABLE.map(([name]) => name);
const STATIC_VALUES = STATIC_TABLE.map(([, value]) => value);
const reader = new HpackReader();

/** Decodes the header blocks of one direction of one connection (RFC 7541). */
export class HpackDecoder {
  readonly #limits: FieldLimits;
  /** The dynamic table: names and values, the oldest at `#first`. */
  #names: string[] = [];
  #values: string[] = [];
  /** Whether an entry may not stand in a message. */
  #flaws: (string | undefined)[] = [];
  #first = 0;
  #size = 0;
  #maxSize = DEFAULT_TABLE_SIZE;
  #flaw: string | undefined;

  constructor(limits: FieldLimits) {
    this.#limits = limits;
  }

  /** What makes the message malformed (RFC 9113 §8.2.1) whose block was decoded last; undefined where nothing does. */
  get flaw(): string | undefined {
    return this.#flaw;
  }

  /**
   * Decodes the block in `bytes`. The table follows it whatever becomes of the message.
   * @returns name, value, name, value …, latin-1, as they came
   * @throws ConnectionError COMPRESSION_ERROR where the block makes no sense
   */
  decode(bytes: Buffer, from = 0, to = bytes.byteLength): string[] {
    reader.begin(bytes, from, to);
    const flat: string[] = [];
    let flaw: string | undefined;
    let begun = false;
    let left = this.#limits.headerBytes;
    const count = this.#limits.headerCount * 2;
    while (reader.at < to) {
      const first = bytes[reader.at]!;
      let name: string;
      let value: string;
      if (first & 0x80) {
        const index = reader.integer(0x7f);
        if (index <= STATIC_COUNT) {
          if (index === 0) throw nonsense("index 0");
          name = STATIC_NAMES[index - 1]!;
          value = STATIC_VALUES[index - 1]!;
        } else {
          const at = this.#position(index);
          name = this.#names[at]!;
          value = this.#values[at]!;
          flaw ??= this.#flaws[at];
        }
      } else if ((first & 0xe0) === 0x20) {
        // RFC 7541 §4.2: only before the first field.
        if (begun) throw nonsense("a table size in the middle of a block");
        const size = reader.integer(0x1f);
        if (size > DEFAULT_TABLE_SIZE) throw nonsense("a table larger than agreed");
        this.#maxSize = size;
        this.#evict(0);
        continue;
      } else {
        const indexed = (first & 0x40) !== 0;
        const index = reader.integer(indexed ? 0x3f : 0x0f);
        name = index === 0 ? reader.string() : this.#nameAt(index);
        value = reader.string();
        const its = flawOf(name, value, index !== 0 && index <= STATIC_COUNT);
        flaw ??= its;
        if (indexed) this.#insert(name, value, its);
      }
      begun = true;
      left -= name.length + value.length;
      if (left < 0 || flat.length >= count) flaw ??= TOO_LARGE;
      else flat.push(name, value);
    }
    reader.done();
    this.#flaw = flaw;
    return flat;
  }

  #nameAt(index: number): string {
    return index <= STATIC_COUNT ? STATIC_NAMES[index - 1]! : this.#names[this.#position(index)]!;
  }

  /** Where an index of the dynamic table stands; the youngest entry has the lowest. */
  #position(index: number): number {
    const at = this.#names.length - (index - STATIC_COUNT);
    if (at < this.#first) throw nonsense("an index beyond the table");
    return at;
  }

  #insert(name: string, value: string, flaw: string | undefined): void {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.#evict(size);
    // RFC 7541 §4.4: what is larger than the table empties it.
    if (size > this.#maxSize) return;
    this.#names.push(name);
    this.#values.push(value);
    this.#flaws.push(flaw);
    this.#size += size;
  }

  /** Makes room for `needed` bytes. */
  #evict(needed: number): void {
    while (this.#first < this.#names.length && this.#size + needed > this.#maxSize) {
      const at = this.#first++;
      this.#size -= this.#names[at]!.length + this.#values[at]!.length + ENTRY_OVERHEAD;
      this.#names[at] = this.#values[at] = "";
    }
    if (this.#first < 256 && this.#first < this.#names.length) return;
    // What was evicted stands in front until it is worth a copy.
    this.#names = this.#names.slice(this.#first);
    this.#values = this.#values.slice(this.#first);
    this.#flaws = this.#flaws.slice(this.#first);
    this.#first = 0;
  }
}
