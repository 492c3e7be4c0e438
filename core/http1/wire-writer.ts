import type { Wire } from "./wire.ts";

/**
 * Writes to a wire and keeps what it did not take, so that a caller offers bytes once. Bounded by its caller:
 * who produces a body stops while `blocked`.
 */
export class WireWriter {
  /**
   * Whether what is written is nobody else's: memory is freed as soon as the wire has taken the last byte of it.
   * Left to the garbage collector, the large chunks of a slow transfer survive its quick collections, and tens of
   * megabytes of them wait for a full one.
   */
  frees = false;
  readonly #wire: Wire;
  /** What the wire did not take, in order. */
  #rest: Uint8Array[] | undefined;
  #closed = false;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** True once the wire has refused bytes because it is closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** True while bytes wait for the wire: write nothing more that can wait. */
  get blocked(): boolean {
    return this.#rest !== undefined;
  }

  /**
   * Writes, or queues behind what waits. The bytes may wait inside: they must not change.
   * Answers false once the wire is closed.
   */
  write(bytes: Uint8Array): boolean {
    if (this.#rest !== undefined) {
      this.#rest.push(bytes);
      return true;
    }
    const taken = this.#wire.write(bytes);
    if (taken === bytes.byteLength) {
      if (this.frees) free(bytes);
      return true;
    }
    if (taken < 0) {
      this.#closed = true;
      return false;
    }
    this.#rest = [bytes.subarray(taken)];
    return true;
  }

  /** Call at the wire's `drained`. True when nothing waits any more (or ever will: the wire is closed). */
  drained(): boolean {
    const rest = this.#rest;
    if (rest === undefined) return true;
    for (let i = 0; i < rest.length; i++) {
      const bytes = rest[i]!;
      const taken = this.#wire.write(bytes);
      if (taken < 0) {
        this.#closed = true;
        break;
      }
      if (taken < bytes.byteLength) {
        rest[i] = bytes.subarray(taken);
        rest.splice(0, i);
        return false;
      }
      if (this.frees) free(bytes);
    }
    this.#rest = undefined;
    return true;
  }
}

/** Below this, memory is not worth the call. That of a DATA frame is: 16 KiB cost a quarter of a microsecond. */
const FREE_FROM = 12_288;

/** Frees the memory behind `bytes` where they are the last of it: what lies before them was written before. */
export function free(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer.byteLength < FREE_FROM || bytes.byteOffset + bytes.byteLength !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
