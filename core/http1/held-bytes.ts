/** Bytes that a client sent ahead of the answer to its last request. */
export class HeldBytes {
  /** How many there are. */
  bytes = 0;
  readonly #chunks: Uint8Array[] = [];

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  /** How many pieces they came in: each has a cost of its own. */
  get pieces(): number {
    return this.#chunks.length;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.byteLength;
  }

  /** Puts back what was taken and not read. */
  unshift(chunk: Uint8Array): void {
    this.#chunks.unshift(chunk);
    this.bytes += chunk.byteLength;
  }

  shift(): Uint8Array | undefined {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) this.bytes -= chunk.byteLength;
    return chunk;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.bytes = 0;
  }
}
