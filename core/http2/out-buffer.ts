import { copyBytes } from "../plugin/copy-bytes.ts";
import { FRAME_HEADER } from "./frames.ts";

/** Bytes on their way out; grows as needed. What is written stands behind what was written before. */
export class OutBuffer {
  bytes: Buffer;
  end = 0;

  constructor(size = 4_096) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    const needed = this.end + more;
    if (needed <= this.bytes.byteLength) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.bytes.byteLength * 2));
    this.bytes.copy(grown, 0, 0, this.end);
    this.bytes = grown;
  }

  /** Drops the first `count` bytes. */
  shift(count: number): void {
    this.bytes.copyWithin(0, count, this.end);
    this.end -= count;
  }

  byte(value: number): void {
    this.bytes[this.end++] = value;
  }

  u32(value: number): void {
    const { bytes, end } = this;
    bytes[end] = value >>> 24;
    bytes[end + 1] = value >>> 16;
    bytes[end + 2] = value >>> 8;
    bytes[end + 3] = value;
    this.end = end + 4;
  }

  append(source: Uint8Array, from = 0, to = source.byteLength): void {
    this.reserve(to - from);
    this.end += copyBytes(source, this.bytes, this.end, from, to);
  }

  /** A frame's header; reserves room for its payload, too. */
  frame(length: number, type: number, flags: number, stream: number): void {
    this.reserve(FRAME_HEADER + length);
    const { bytes, end } = this;
    bytes[end] = length >> 16;
    bytes[end + 1] = length >> 8;
    bytes[end + 2] = length;
    bytes[end + 3] = type;
    bytes[end + 4] = flags;
    this.end = end + 5;
    this.u32(stream);
  }
}
