import type { Clock } from "sluice/plugin";
import type { RetryBudgetConfig } from "../../config/types.ts";
import { SlidingCounts } from "./sliding-counts.ts";

/**
 * How many retries (or hedges) an upstream is sent beside its requests. Whenever one is allowed, those of the last window
 * are, with it, at most `ratio` of the requests of that window and of up to a tenth of it before, or `min`, whichever is
 * more. So no stretch of time as long as the window ever holds more than that, counted from its last retry; where requests
 * are few, no such stretch holds more than `min`.
 */
export interface RetryBudget {
  /** A request is sent for the first time. */
  request(): void;
  /** Whether one more retry may be sent now; counts it where it may. */
  take(): boolean;
  /** Requests in the window. */
  readonly requests: number;
  /** Retries in the window. */
  readonly retries: number;
}

export function createRetryBudget(
  { ratio, min, window }: RetryBudgetConfig,
  clock: Pick<Clock, "monotonic">,
): RetryBudget {
  const counts = new SlidingCounts(clock, window);
  return {
    request: () => counts.addFirst(),
    take() {
      const retries = counts.second + 1;
      // A quotient of whole numbers is rounded as a ratio in decimals is: 20 of 100 are 0.2, which a product would miss.
      if (retries > min && !(retries / counts.first <= ratio)) return false;
      counts.addSecond();
      return true;
    },
    get requests() {
      return counts.first;
    },
    get retries() {
      return counts.second;
    },
  };
}
