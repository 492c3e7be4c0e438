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
/** A checker's hiccup is no departure. */
const SHORTEST_INTERVAL_MS = 500;
/** Gaps between checks that are remembered of a checker. */
const GAPS = 4;
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
  /** Milliseconds between its last checks; several backends of one balancer may be checked in one breath. */
  readonly gaps: number[];
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
    checker.gaps.push(now - checker.askedAt);
    if (checker.gaps.length > GAPS) checker.gaps.shift();
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
    for (const checker of this.#checkers.values())
      if (checker.failed < UNDERSTOOD_AFTER && !isGone(checker, now)) return false;
    return now - this.#quietSince >= QUIET_MS;
  }

  #remember(address: string, now: number): void {
    if (this.#checkers.size === MAX_CHECKERS) this.#keepBalancers(now);
    if (this.#checkers.size < MAX_CHECKERS)
      this.#checkers.set(address, { askedAt: now, gaps: [], failed: 0 });
  }

  #keepBalancers(now: number): void {
    for (const [address, checker] of this.#checkers)
      if (intervalOf(checker) > SLOWEST_CHECKER_MS || isGone(checker, now)) this.#checkers.delete(address);
  }
}

/** How often it asks, at the least; `Infinity` for who has asked once. */
function intervalOf({ gaps }: Checker): number {
  return gaps.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...gaps);
}

/** It has left several of its own intervals out. */
function isGone(checker: Checker, now: number): boolean {
  return now - checker.askedAt > 3 * Math.max(intervalOf(checker), SHORTEST_INTERVAL_MS);
}
