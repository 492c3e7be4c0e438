import { CircuitState, type IBreaker } from "cockatiel";
import type { Clock } from "sluice/plugin";
import { SlidingCounts } from "./sliding-counts.ts";

/**
 * Opens a circuit once `failureRatio` of the requests of a window, or more, have failed, where there were `minRequests` of
 * them. The window slides a tenth of it at a time.
 */
export class RatioBreaker implements IBreaker {
  readonly #failureRatio: number;
  readonly #minRequests: number;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #window: number;
  #counts: SlidingCounts;

  /** @param window milliseconds. */
  constructor(failureRatio: number, minRequests: number, window: number, clock: Pick<Clock, "monotonic">) {
    this.#failureRatio = failureRatio;
    this.#minRequests = minRequests;
    this.#clock = clock;
    this.#window = window;
    this.#counts = new SlidingCounts(clock, window);
  }

  get successes(): number {
    return this.#counts.first;
  }

  get failures(): number {
    return this.#counts.second;
  }

  /** Successes and failures of the window. What is set counts as of now. */
  get state(): unknown {
    return [this.successes, this.failures];
  }

  set state(state: unknown) {
    const [successes, failures] = state as [successes: number, failures: number];
    this.#counts = new SlidingCounts(this.#clock, this.#window);
    for (let i = 0; i < successes; i++) this.#counts.addFirst();
    for (let i = 0; i < failures; i++) this.#counts.addSecond();
  }

  success(state: CircuitState): void {
    // The circuit closes: what was before does not count against who has recovered.
    if (state === CircuitState.HalfOpen) this.#counts.clear();
    this.#counts.addFirst();
  }

  failure(state: CircuitState): boolean {
    this.#counts.addSecond();
    if (state !== CircuitState.Closed) return true;
    const { successes, failures } = this;
    const all = successes + failures;
    return all >= this.#minRequests && failures / all >= this.#failureRatio;
  }
}
