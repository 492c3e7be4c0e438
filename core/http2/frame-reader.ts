import { ConnectionError, FRAME_HEADER, FRAME_SIZE_ERROR, MAX_FRAME } from "./frames.ts";

/** Where frames go, one after the other. */
export interface FrameSink {
  /** `payload` is a view of what was pushed and may be kept. */
  frame(type: number, flags: number, stream: number, payload: Buffer): void;
}

/** Cuts a connection's bytes into frames, however they come. */
export class FrameReader {
  readonly #sink: FrameSink;
  /** A frame, or its header, that is not complete; `#have` bytes of it are here. */
  #partial: Buffer | undefined;
  #have = 0;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /**
   * Reads on. The sink may stop it.
   * @throws ConnectionError for a frame above {@link MAX_FRAME}
   */
  push(chunk: Buffer): void {
    let at = this.#partial === undefined ? 0 : this.#complete(chunk);
    const end = chunk.byteLength;
    while (!this.#stopped && at < end) {
      if (end - at < FRAME_HEADER) {
        this.#keep(Buffer.allocUnsafe(FRAME_HEADER), chunk, at);
        return;
      }
      const size = FRAME_HEADER + lengthAt(chunk, at);
      if (end - at < size) {
        this.#keep(Buffer.allocUnsafe(size), chunk, at);
        return;
      }
      this.#emit(chunk, at, size);
      at += size;
    }
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.#stopped = true;
    this.#partial = undefined;
  }

  /** Goes on with what is incomplete. @returns how much of `chunk` that took */
  #complete(chunk: Buffer): number {
    let at = 0;
    let partial = this.#partial as Buffer;
    for (;;) {
      const taken = chunk.copy(partial, this.#have, at);
      this.#have += taken;
      at += taken;
      if (this.#have < partial.byteLength) return at;
      const size = FRAME_HEADER + lengthAt(partial, 0);
      if (partial.byteLength === size) break;
      // That was the header alone.
      const whole = Buffer.allocUnsafe(size);
      partial.copy(whole);
      this.#partial = partial = whole;
    }
    this.#partial = undefined;
    this.#emit(partial, 0, partial.byteLength);
    return at;
  }

  #keep(room: Buffer, chunk: Buffer, at: number): void {
    this.#partial = room;
    this.#have = chunk.copy(room, 0, at);
  }

  #emit(bytes: Buffer, at: number, size: number): void {
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    this.#sink.frame(bytes[at + 3]!, bytes[at + 4]!, stream, bytes.subarray(at + FRAME_HEADER, at + size));
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (length > MAX_FRAME) throw new ConnectionError(FRAME_SIZE_ERROR, `a frame of ${length} bytes`);
  return length;
}
