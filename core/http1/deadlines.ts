import type { Clock } from "sluice/plugin";
import type { Limits } from "../../config/types.ts";

const SLOWEST = 250;
const FASTEST = 10;

/** Something with deadlines that one timer for all of them looks at. */
export interface Sweepable {
  sweep(now: number): void;
}

/**
 * One timer for a whole set, running while the set is not empty: a timer for each request would cost more than
 * the request's head. Deadlines are met within a quarter of the shortest timeout, at most 250 ms late.
 */
export class Sweeper {
  readonly #members = new Set<Sweepable>();
  readonly #clock: Clock;
  readonly #limits: () => Limits;
  #seen: Limits | undefined;
  #stop: (() => void) | undefined;

  constructor(clock: Clock, limits: () => Limits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#members.size;
  }

  add(member: Sweepable): void {
    this.#members.add(member);
    if (this.#members.size === 1) this.#start();
  }

  delete(member: Sweepable): void {
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  #start(): void {
    const limits = this.#limits();
    this.#seen = limits;
    const shortest = Math.min(limits.headerTimeout, limits.bodyTimeout, limits.idleTimeout);
    const every = Math.min(SLOWEST, Math.max(FASTEST, shortest / 4));
    this.#stop = this.#clock.setInterval(() => this.#sweep(), every);
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const member of this.#members) member.sweep(now);
    if (this.#stop === undefined || this.#limits() === this.#seen) return;
    // A reload brought other timeouts.
    this.#stop();
    this.#start();
  }
}
