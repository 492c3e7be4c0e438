import { z } from "zod";
import { formatDuration } from "../durations.ts";
import { formatShare } from "../shares.ts";
import type { CircuitBreakerConfig } from "../types.ts";
import { count, duration, share } from "../values.ts";
import type { Section } from "./section.ts";

export const circuitBreakerSchema = z
  .strictObject({
    failure_ratio: share("refused")
      .optional()
      .describe("Opens when this share of the window's requests or more failed."),
    min_requests: count(1)
      .prefault(20)
      .describe("Requests in the window below which failure_ratio says nothing."),
    window: duration().prefault("10s").describe("What failure_ratio is counted over."),
    consecutive_failures: count(1).optional().describe("Opens after so many failures in a row."),
    open_for: duration().prefault("5s").describe("How long all requests are refused with 503."),
    half_open_requests: count(1)
      .prefault(1)
      .describe("Requests let through after that; it closes when all succeed, and opens when one fails."),
  })
  .optional()
  .describe("Stops asking an upstream that fails. One of failure_ratio and consecutive_failures, or both.");

type Value = NonNullable<z.output<typeof circuitBreakerSchema>>;

const OF_RATIO = ["min_requests", "window"];

/** Reports a breaker that would never open. */
export function checkCircuitBreaker(upstream: Section): void {
  const breaker = upstream.mapping("circuit_breaker");
  if (breaker === undefined || breaker.has("failure_ratio")) return;
  if (!breaker.has("consecutive_failures")) {
    breaker.missing("failure_ratio", "a share such as 0.5 or 50%, or consecutive_failures instead");
    return;
  }
  for (const key of OF_RATIO) breaker.at(key)?.warn("is never used without failure_ratio");
}

export function circuitBreakerOf(value: Value): CircuitBreakerConfig {
  return {
    failureRatio: value.failure_ratio,
    minRequests: value.min_requests,
    window: value.window,
    consecutiveFailures: value.consecutive_failures,
    openFor: value.open_for,
    halfOpenRequests: value.half_open_requests,
  };
}

/** In the words of the YAML. */
export function plainCircuitBreaker(breaker: CircuitBreakerConfig): object {
  const { failureRatio, minRequests, window, consecutiveFailures, openFor, halfOpenRequests } = breaker;
  const ratio =
    failureRatio === undefined
      ? {}
      : {
          failure_ratio: formatShare(failureRatio),
          min_requests: minRequests,
          window: formatDuration(window),
        };
  return {
    ...ratio,
    consecutive_failures: consecutiveFailures,
    open_for: formatDuration(openFor),
    half_open_requests: halfOpenRequests,
  };
}
