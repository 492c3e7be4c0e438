import type { Clock } from "sluice/plugin";
import { queueFull, queueTimeout } from "./failures.ts";

/** A request that waits until a target can take it. */
interface Waiter {
  /** Takes a place on a target, if there is one. */
  readonly place: () => boolean;
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** How often those that wait too long are looked for: nobody waits longer than this beyond the limit. */
const SWEEP_MS = 50;

/** Requests that wait because every target has its full number: first come, first served. */
export class TargetQueue {
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  #stopSweep: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get length(): number {
    return this.#waiters.size;
  }

  /**
   * Waits for a place.
   * @param place takes one, and answers whether it could; called at once, and whenever a request has ended. What it
   * throws ends the wait.
   * @param onCancel is given a function that ends the wait.
   * @throws SluiceError `unavailable`, reason `overflow`, where the queue is full or the wait too long
   */
  wait(
    place: () => boolean,
    limits: { readonly queue: number; readonly queueTimeout: number },
    onCancel: (cancel: (reason: unknown) => void) => void,
  ): Promise<void> {
    if (this.#waiters.size === 0 && place()) return Promise.resolve();
    if (this.#waiters.size >= limits.queue) return Promise.reject(queueFull());
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.monotonic() + limits.queueTimeout;
      const waiter: Waiter = { place, deadline, resolve, reject };
      this.#waiters.add(waiter);
      this.#stopSweep ??= this.#clock.setInterval(() => this.#sweep(), SWEEP_MS);
      onCancel((reason) => {
        if (this.#waiters.delete(waiter)) reject(reason);
      });
    });
  }

  /** A target may have room: those that came first go first. */
  advance(): void {
    for (const waiter of this.#waiters) {
      try {
        if (!waiter.place()) return;
        waiter.resolve();
      } catch (error) {
        waiter.reject(error);
      }
      this.#waiters.delete(waiter);
    }
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const waiter of this.#waiters) {
      if (now < waiter.deadline) continue;
      this.#waiters.delete(waiter);
      waiter.reject(queueTimeout());
    }
    if (this.#waiters.size > 0) return;
    this.#stopSweep?.();
    this.#stopSweep = undefined;
  }
}
