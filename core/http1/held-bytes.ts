import { BY_PIPELINE, type Reading } from "./reading.ts";

/** Above either, the client is not read; each piece has a cost of its own. */
const MAX_BYTES = 65_536;
const MAX_PIECES = 64;

/** Bytes that a client sent ahead of the answer to its last request. */
export class HeldBytes {
  readonly #reading: Reading;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#added(chunk);
  }

  /** Puts back what was taken and not read. */
  unshift(chunk: Uint8Array): void {
    this.#chunks.unshift(chunk);
    this.#added(chunk);
  }

  shift(): Uint8Array | undefined {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return undefined;
    this.#bytes -= chunk.byteLength;
    return chunk;
  }

  /** Enough was taken for now: the client is read again where little is left. */
  settle(): void {
    if (this.#bytes <= MAX_BYTES >> 1 && this.#chunks.length <= MAX_PIECES >> 1)
      this.#reading.resume(BY_PIPELINE);
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#bytes = 0;
  }

  #added(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > MAX_BYTES || this.#chunks.length > MAX_PIECES) this.#reading.pause(BY_PIPELINE);
  }
}
