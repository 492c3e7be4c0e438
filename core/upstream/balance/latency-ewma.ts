/** Milliseconds in which an old latency loses all but 1/e of its influence. */
const TIME_CONSTANT = 10_000;

/** The least that one answer counts: a first request that has to connect, or a pause, must not decide for ten seconds. */
const LEAST_SHARE = 0.05;

/** After this the last latency is worth less than a hundredth of itself, and says nothing. */
const FORGET_AFTER = 5 * TIME_CONSTANT;

/** Milliseconds. A latency of 0 would read as an unknown one. */
const LEAST = 0.001;

/**
 * Peak EWMA of a target's latency: a slower answer counts at once, a faster one by the time that has passed since
 * the one before, but for a twentieth at least. While nothing is observed it falls towards 0, so that a target that was slow is asked again; after
 * 50 seconds it is unknown.
 */
export class LatencyEwma {
  #value = 0;
  #observedAt = Number.NEGATIVE_INFINITY;

  /** @param now monotonic milliseconds; never earlier than before. */
  observe(ms: number, now: number): void {
    const elapsed = now - this.#observedAt;
    this.#observedAt = now;
    const latency = ms > LEAST ? ms : LEAST;
    if (latency >= this.#value) this.#value = latency;
    else {
      const left = elapsed > 0 ? Math.exp(-elapsed / TIME_CONSTANT) : 1;
      this.#value = latency + (this.#value - latency) * Math.min(left, 1 - LEAST_SHARE);
    }
  }

  /** Milliseconds; 0 where nothing is known. */
  at(now: number): number {
    const elapsed = now - this.#observedAt;
    if (elapsed <= 0) return this.#value;
    return elapsed < FORGET_AFTER ? this.#value * Math.exp(-elapsed / TIME_CONSTANT) : 0;
  }
}
