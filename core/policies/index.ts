import type { BulkheadOptions, CircuitBreakerOptions, Clock, Policies } from "sluice/plugin";
import { createBulkhead } from "./bulkhead.ts";
import { createCircuitBreaker } from "./circuit-breaker.ts";

export { type Bulkhead, createBulkhead } from "./bulkhead.ts";
export { type CircuitBreaker, createCircuitBreaker, type Permit } from "./circuit-breaker.ts";

/** What plugins make policies with: `services.policies`. */
export function createPolicies(clock: Pick<Clock, "monotonic" | "setTimeout">): Policies {
  return {
    circuitBreaker(options: CircuitBreakerOptions) {
      const { failureRatio, minRequests = 20, window = 10_000 } = options;
      const { consecutiveFailures, openFor = 5_000, halfOpenRequests = 1, isFailure } = options;
      if (failureRatio === undefined && consecutiveFailures === undefined)
        throw new RangeError(
          "a circuit breaker opens by failureRatio, consecutiveFailures or both: give one",
        );
      if (failureRatio !== undefined && !(failureRatio > 0 && failureRatio <= 1))
        throw new RangeError(`failureRatio is above 0 and at most 1, and not ${failureRatio}`);
      if (consecutiveFailures !== undefined) checkWhole("consecutiveFailures", consecutiveFailures, 1);
      checkWhole("minRequests", minRequests, 1);
      checkWhole("halfOpenRequests", halfOpenRequests, 1);
      checkDuration("window", window);
      checkDuration("openFor", openFor);
      const config = { failureRatio, minRequests, window, consecutiveFailures, openFor, halfOpenRequests };
      return createCircuitBreaker(config, clock, isFailure);
    },
    bulkhead({ concurrency, queue = 0, queueTimeout = 1_000 }: BulkheadOptions) {
      checkWhole("concurrency", concurrency, 1);
      checkWhole("queue", queue, 0);
      checkDuration("queueTimeout", queueTimeout);
      return createBulkhead({ concurrency, queue, queueTimeout }, clock);
    },
  };
}

function checkWhole(name: string, value: number, least: number): void {
  if (!(Number.isSafeInteger(value) && value >= least))
    throw new RangeError(`${name} is a whole number, ${least} or more, and not ${value}`);
}

function checkDuration(name: string, value: number): void {
  if (!(Number.isFinite(value) && value > 0))
    throw new RangeError(`${name} is a number of milliseconds above 0, and not ${value}`);
}
