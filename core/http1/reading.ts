import type { Wire } from "./wire.ts";

/** A body's reader has fallen behind. */
export const BY_BODY = 1;
/** Too much came ahead of the answer to the last request. */
export const BY_PIPELINE = 2;
/** Too much came that nobody wants. */
export const BY_WASTE = 4;

/** Whether a wire is read: not while there is any reason against it. The reasons are bits. */
export class Reading {
  readonly #wire: Wire;
  #reasons = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  get paused(): boolean {
    return this.#reasons !== 0;
  }

  pause(why: number): void {
    if (this.#reasons === 0) this.#wire.pause();
    this.#reasons |= why;
  }

  resume(why: number): void {
    if (this.#reasons === 0) return;
    this.#reasons &= ~why;
    if (this.#reasons === 0) this.#wire.resume();
  }
}
