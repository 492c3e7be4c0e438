import {
  ConnectionError,
  DATA,
  END_STREAM,
  FRAME_HEADER,
  FRAME_SIZE_ERROR,
  MAX_FRAME,
  PADDED,
} from "./frames.ts";
import { OutBuffer } from "./out-buffer.ts";

/** Where frames go, one after the other. */
export interface FrameSink {
  /** The payload is `bytes` from `from` to `to`; it may be kept, and views of it. */
  frame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): void;
}

/** What is held of a frame that comes in pieces, at first: its sender has shown no more than that it has begun one. */
const HELD = 256;

/**
 * Cuts a connection's bytes into frames, however they come. DATA is not waited for: what is there of it goes on as a
 * frame of its own, as if it was sent in smaller ones, and END_STREAM comes with the last.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  /** A frame, or its header, that is not complete; `#need` is its size as far as that is known. */
  #held: OutBuffer | undefined;
  #need = 0;
  // DATA of which `#left` bytes are still to come.
  #left = 0;
  #flags = 0;
  #stream = 0;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** The type of the frame that has begun and is waited for; undefined where there is none, or none that is known. */
  get waitsFor(): number | undefined {
    const held = this.#held;
    return held !== undefined && held.end >= FRAME_HEADER ? held.bytes[3] : undefined;
  }

  /**
   * Reads on. The sink may stop it.
   * @throws ConnectionError for a frame above {@link MAX_FRAME}
   */
  push(chunk: Buffer): void {
    const end = chunk.byteLength;
    let at = 0;
    while (at < end && !this.#stopped) {
      if (this.#left > 0) at = this.#data(chunk, at, end);
      else if (this.#held !== undefined) at = this.#complete(this.#held, chunk, at, end);
      else if (end - at < FRAME_HEADER) at = this.#hold(FRAME_HEADER, chunk, at, end);
      else {
        const to = at + FRAME_HEADER + lengthAt(chunk, at);
        if (isFluid(chunk, at, to)) {
          this.#begin(chunk, at, to - at - FRAME_HEADER);
          at += FRAME_HEADER;
        } else if (to <= end) {
          this.#emit(chunk, at, to);
          at = to;
        } else at = this.#hold(to - at, chunk, at, end);
      }
    }
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.#stopped = true;
    this.#held = undefined;
  }

  /** DATA whose payload may come bit by bit. */
  #begin(bytes: Buffer, at: number, length: number): void {
    this.#left = length;
    this.#flags = bytes[at + 4]!;
    this.#stream = streamAt(bytes, at);
  }

  #data(chunk: Buffer, at: number, end: number): number {
    const to = Math.min(at + this.#left, end);
    this.#left -= to - at;
    const flags = this.#left === 0 ? this.#flags : this.#flags & ~END_STREAM;
    this.#sink.frame(DATA, flags, this.#stream, chunk, at, to);
    return to;
  }

  #hold(need: number, chunk: Buffer, at: number, end: number): number {
    const held = (this.#held = new OutBuffer(Math.min(need, HELD)));
    this.#need = need;
    held.append(chunk, at, end);
    return end;
  }

  /** Goes on with what is incomplete. @returns how far that came in `chunk` */
  #complete(held: OutBuffer, chunk: Buffer, from: number, end: number): number {
    const at = Math.min(from + this.#need - held.end, end);
    held.append(chunk, from, at);
    if (held.end < this.#need) return at;
    const { bytes } = held;
    const size = FRAME_HEADER + lengthAt(bytes, 0);
    if (size > held.end && !isFluid(bytes, 0, size)) {
      this.#need = size;
      return at;
    }
    this.#held = undefined;
    if (size > held.end) this.#begin(bytes, 0, size - FRAME_HEADER);
    else this.#emit(bytes, 0, size);
    return at;
  }

  #emit(bytes: Buffer, at: number, to: number): void {
    this.#sink.frame(bytes[at + 3]!, bytes[at + 4]!, streamAt(bytes, at), bytes, at + FRAME_HEADER, to);
  }
}

/** Whether it is DATA that may be passed on in part: not where its padding says first what of it is content. */
function isFluid(bytes: Buffer, at: number, to: number): boolean {
  return bytes[at + 3] === DATA && (bytes[at + 4]! & PADDED) === 0 && to - at > FRAME_HEADER;
}

/** RFC 9113 §4.1: the first bit is reserved. */
function streamAt(bytes: Buffer, at: number): number {
  return ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (length > MAX_FRAME)
    throw new ConnectionError(FRAME_SIZE_ERROR, `a frame of ${length} bytes`, "frame_size");
  return length;
}
