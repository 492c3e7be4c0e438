import { latin1 } from "../http1/bytes.ts";
import { COMPRESSION_ERROR, ConnectionError } from "./frames.ts";
import { huffmanBound, huffmanDecode } from "./huffman.ts";

/**
 * The primitives of a header block (RFC 7541 §5), read one after the other. One serves all connections: what it grows to
 * over the largest block would otherwise stay with each.
 */
export class HpackReader {
  bytes: Buffer = NOTHING;
  at = 0;
  /** Where the block ends in `bytes`. */
  end = 0;
  #scratch = new Uint8Array(4_096);

  /** Begins with the block in `bytes`. */
  begin(bytes: Buffer, from: number, to: number): void {
    this.bytes = bytes;
    this.at = from;
    this.end = to;
  }

  /** Lets go of the block. */
  done(): void {
    this.bytes = NOTHING;
  }

  /** RFC 7541 §5.1. `mask` is the prefix, and its largest value. @throws ConnectionError COMPRESSION_ERROR */
  integer(mask: number): number {
    const { bytes } = this;
    let value = bytes[this.at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      // Four more bytes are 2^28: nothing that is meant is larger.
      if (shift > 21 || this.at >= this.end) throw nonsense("an integer");
      const byte = bytes[this.at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** RFC 7541 §5.2, as latin-1. @throws ConnectionError COMPRESSION_ERROR */
  string(): string {
    const { bytes } = this;
    if (this.at >= this.end) throw nonsense("a string");
    const coded = (bytes[this.at]! & 0x80) !== 0;
    const length = this.integer(0x7f);
    const from = this.at;
    const to = from + length;
    if (to > this.end) throw nonsense("a string");
    this.at = to;
    if (!coded) return latin1(bytes, from, to);
    const bound = huffmanBound(length);
    if (bound > this.#scratch.byteLength) this.#scratch = new Uint8Array(bound);
    const decoded = huffmanDecode(bytes, from, to, this.#scratch);
    if (decoded < 0) throw nonsense("Huffman code");
    return latin1(this.#scratch, 0, decoded);
  }
}

const NOTHING = Buffer.alloc(0);

/** A block with `what` in it that cannot be understood. */
export function nonsense(what: string): ConnectionError {
  return new ConnectionError(COMPRESSION_ERROR, `a header block with ${what} that makes no sense`, "hpack");
}
