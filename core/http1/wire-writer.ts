import type { Encoded } from "./encoder.ts";
import { OwnedMemory } from "./owned-memory.ts";
import type { Wire } from "./wire.ts";

/**
 * Writes to a wire and keeps what it did not take, so that a caller offers bytes once. Bounded by its caller:
 * who produces a body stops while `blocked`.
 */
export class WireWriter {
  readonly #wire: Wire;
  /** What the wire did not take, in order. */
  #rest: Uint8Array[] | undefined;
  #closed = false;
  #memory: OwnedMemory | undefined;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Whether what is written from here on are chunks of a body that is owned: their memory is freed. */
  set frees(frees: boolean) {
    if (frees) this.#memory = new OwnedMemory();
    else if (this.#memory !== undefined) this.#memory = undefined;
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
    this.#memory?.begin(bytes);
    if (this.#rest !== undefined) {
      this.#rest.push(bytes);
      return true;
    }
    const taken = this.#wire.write(bytes);
    if (taken === bytes.byteLength) {
      this.#memory?.end(bytes);
      return true;
    }
    if (taken < 0) {
      this.#closed = true;
      return false;
    }
    this.#rest = [bytes.subarray(taken)];
    return true;
  }

  /** The same for bytes that are used again after the call: what has to wait is copied. */
  writeOnce({ bytes, length }: Encoded): boolean {
    const taken = this.#rest === undefined ? this.#wire.write(bytes, length) : 0;
    if (taken === length) return true;
    if (taken < 0) {
      this.#closed = true;
      return false;
    }
    (this.#rest ??= []).push(bytes.slice(taken, length));
    return true;
  }

  /** A chunk of the body was written with `writeOnce`, as a part of what that wrote. */
  copied(chunk: Uint8Array): void {
    this.#memory?.begin(chunk);
    this.#memory?.end(chunk);
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
      this.#memory?.end(bytes);
    }
    this.#rest = undefined;
    return true;
  }
}
