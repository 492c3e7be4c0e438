/** A target as a balancer sees it. */
export interface Balanced {
  /** Stable over reloads and restarts; what consistent hashing knows it by. */
  readonly id: string;
  /** Above 0. */
  readonly weight: number;
  /** Requests under way. */
  readonly inFlight: number;
  /** Peak EWMA of its latency at `now` (monotonic), milliseconds; 0 where nothing is known. */
  latencyAt(now: number): number;
  /** Share of its weight that it has taken up at `now`, above 0; 1 but in slow start. */
  rampAt(now: number): number;
}

/** Chooses among the targets of one upstream. */
export interface Balancer<T extends Balanced> {
  /**
   * Who may be asked from now on. Called when that changes, never for a request; may cost time in proportion to the
   * number of targets. What it knows of those that stay, it keeps.
   */
  update(targets: readonly T[]): void;
  /**
   * Whose turn it is; undefined where nobody is usable. Costs about the same for two targets and for a thousand.
   * @param now monotonic milliseconds.
   * @param hash of the request's key, 32 bits unsigned; undefined where it has none.
   * @param usable false for who was asked for this request already, or has its full number of requests; undefined where
   * everybody is.
   */
  pick(now: number, hash: number | undefined, usable: ((target: T) => boolean) | undefined): T | undefined;
}
