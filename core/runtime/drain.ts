import type { Clock } from "sluice/plugin";

/** How often a condition is looked at, milliseconds. */
const LOOK_MS = 20;
/** Failed readiness answers after which a health checker is taken to have understood: HAProxy's default `fall`. */
const UNDERSTOOD_AFTER = 3;
/** A checker that has not asked for this long is not there. */
const CHECKER_FORGOTTEN_MS = 30_000;
/** After the last failed check, for the checker to act on it. */
const SETTLE_MS = 250;

/** Resolves when `holds` does, or after `limit` milliseconds, or when `hurry` was called. */
export interface Wait {
  readonly done: Promise<boolean>;
  /** Gives up waiting. */
  hurry(): void;
}

export function waitFor(clock: Clock, holds: () => boolean, limit: number): Wait {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  if (holds()) return { done: Promise.resolve(true), hurry() {} };
  const until = clock.monotonic() + limit;
  let stop = (): void => undefined;
  const finish = (held: boolean): void => {
    stop();
    resolve(held);
  };
  stop = clock.setInterval(() => {
    if (holds()) finish(true);
    else if (clock.monotonic() >= until) finish(false);
  }, LOOK_MS);
  return { done: promise, hurry: () => finish(false) };
}

/**
 * Watches readiness checks, so that a load balancer learns that this instance is going before its connections are
 * refused: after `leave` it says when enough checks have failed.
 */
export class ReadinessWatch {
  readonly #clock: Clock;
  #lastAsked = Number.NEGATIVE_INFINITY;
  #failed = 0;
  #understoodAt = Number.POSITIVE_INFINITY;
  #leaving = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A readiness check was answered. */
  asked(): void {
    const now = this.#clock.monotonic();
    this.#lastAsked = now;
    if (this.#leaving && ++this.#failed === UNDERSTOOD_AFTER) this.#understoodAt = now;
  }

  /** Readiness fails from now on. Answers whether somebody checks it at all. */
  leave(): boolean {
    this.#leaving = true;
    return this.#clock.monotonic() - this.#lastAsked < CHECKER_FORGOTTEN_MS;
  }

  get understood(): boolean {
    return this.#clock.monotonic() - this.#understoodAt >= SETTLE_MS;
  }
}
