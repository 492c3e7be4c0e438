import type { Body, HeaderList } from "sluice/plugin";

/** A client's bytes on an upgraded connection, counted as request bytes on their way through. */
export class CountedBody implements Body {
  readonly length = undefined;
  readonly #inner: Body;
  readonly #record: { bytesIn: number };
  readonly #onChunk = (chunk: Uint8Array | null): Uint8Array | null => this.#count(chunk);

  constructor(inner: Body, record: { bytesIn: number }) {
    this.#inner = inner;
    this.#record = record;
  }

  get trailers(): HeaderList | undefined {
    return this.#inner.trailers;
  }

  own(): boolean {
    return this.#inner.own?.() === true;
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const next = this.#inner.read();
    return next instanceof Promise ? next.then(this.#onChunk) : this.#count(next);
  }

  cancel(reason?: unknown): void {
    this.#inner.cancel(reason);
  }

  #count(chunk: Uint8Array | null): Uint8Array | null {
    if (chunk !== null) this.#record.bytesIn += chunk.byteLength;
    return chunk;
  }
}
