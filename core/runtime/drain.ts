import type { Clock } from "sluice/plugin";

/** How often a condition is looked at, milliseconds. */
const LOOK_MS = 20;
/**
 * Failed readiness answers after which a load balancer is taken to have understood: HAProxy's default `fall`, twice,
 * since it may check us for two backends (HTTP and gRPC) and nothing tells the checks of one from those of the other.
 */
const UNDERSTOOD_AFTER = 6;
/** Who asks less often than this, milliseconds, takes a whole grace period to understand: it is not waited for. */
const SLOWEST_CHECKER_MS = 5_000;
/** For how long nothing new may have come: a load balancer that acts on its checks sends its requests elsewhere. */
const QUIET_MS = 300;

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

/** Checkers that are told apart; who asks beyond them is not waited for. */
const MAX_CHECKERS = 32;

interface Checker {
  askedAt: number;
  /** Milliseconds between the last two checks; `Infinity` after the first. */
  interval: number;
  /** Failed answers since `leave`. */
  failed: number;
}

/**
 * Watches readiness checks, so that every load balancer learns that this instance is going before its connections
 * are refused: after `leave` it says when enough checks of each have failed. A load balancer is who asks regularly
 * and often; a container's health check, or somebody who looks once, is not waited for.
 */
export class ReadinessWatch {
  readonly #clock: Clock;
  readonly #checkers = new Map<string, Checker>();
  /** Requests begun so far, and when that was last seen to grow. */
  readonly #begun: () => number;
  #lastBegun = 0;
  #quietSince = 0;
  #leaving = false;

  /** @param begun how many requests have begun so far, checks not counted. */
  constructor(clock: Clock, begun: () => number) {
    this.#clock = clock;
    this.#begun = begun;
  }

  /** A readiness check of this address was answered. */
  asked(address: string): void {
    const now = this.#clock.monotonic();
    const checker = this.#checkers.get(address);
    if (checker === undefined) {
      if (!this.#leaving) this.#remember(address, now);
      return;
    }
    // Several checks of one balancer, for several backends, come in one breath.
    checker.interval = now - checker.askedAt;
    checker.askedAt = now;
    if (this.#leaving) checker.failed++;
  }

  /** Readiness fails from now on. Answers whether a load balancer checks it. */
  leave(): boolean {
    this.#leaving = true;
    this.#keepBalancers(this.#clock.monotonic());
    return this.#checkers.size > 0;
  }

  /** Whether every load balancer has; to be asked again and again after `leave`. */
  get understood(): boolean {
    const now = this.#clock.monotonic();
    const begun = this.#begun();
    if (begun !== this.#lastBegun || this.#quietSince === 0) {
      this.#lastBegun = begun;
      this.#quietSince = now;
    }
    for (const { failed } of this.#checkers.values()) if (failed < UNDERSTOOD_AFTER) return false;
    return now - this.#quietSince >= QUIET_MS;
  }

  #remember(address: string, now: number): void {
    if (this.#checkers.size === MAX_CHECKERS) this.#keepBalancers(now);
    if (this.#checkers.size < MAX_CHECKERS)
      this.#checkers.set(address, { askedAt: now, interval: Number.POSITIVE_INFINITY, failed: 0 });
  }

  #keepBalancers(now: number): void {
    for (const [address, { askedAt, interval }] of this.#checkers)
      if (interval > SLOWEST_CHECKER_MS || now - askedAt > 3 * SLOWEST_CHECKER_MS)
        this.#checkers.delete(address);
  }
}
