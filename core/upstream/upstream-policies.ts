import type { UpstreamConfig } from "../../config/types.ts";
import { createLatencyWindow, type LatencyWindow } from "../policies/latency-percentile.ts";
import { createRetryBudget, type RetryBudget } from "../policies/retry-budget.ts";
import {
  type Bulkhead,
  type CircuitBreaker,
  createBulkhead,
  createCircuitBreaker,
} from "../policies/index.ts";
import type { UpstreamDeps } from "./upstream-deps.ts";
import type { UpstreamState } from "./upstream-state.ts";

/** What bounds an upstream's requests as a whole. Each outlives a reload that leaves its settings as they are. */
export interface UpstreamPolicies {
  readonly breaker: CircuitBreaker | undefined;
  readonly bulkhead: Bulkhead | undefined;
  readonly budget: RetryBudget | undefined;
  /** Hedged requests are counted as retries are. */
  readonly hedges: RetryBudget | undefined;
  /** Recent latencies, where hedging goes by a percentile of them. */
  readonly latencies: LatencyWindow | undefined;
  close(): void;
}

/** How long hedges are counted, milliseconds. */
const HEDGE_WINDOW = 10_000;

export function createPolicies(
  config: UpstreamConfig,
  state: UpstreamState,
  { clock }: UpstreamDeps,
): UpstreamPolicies {
  const { circuitBreaker, bulkhead, retries, hedge } = config;
  const keys: string[] = [];
  function kept<Settings, T>(
    kind: string,
    settings: Settings | undefined,
    create: (settings: Settings) => T,
  ): T | undefined {
    if (settings === undefined) return undefined;
    const key = `${kind}:${JSON.stringify(settings)}`;
    keys.push(key);
    return state.policy(key, () => create(settings));
  }
  return {
    breaker: kept("breaker", circuitBreaker, (settings) => {
      const breaker = createCircuitBreaker(settings, clock);
      breaker.onChange((to, reason) => {
        const kind =
          to === "open" ? "circuit_open" : to === "closed" ? "circuit_closed" : "circuit_half_open";
        state.report(kind, undefined, reason);
      });
      return breaker;
    }),
    bulkhead: kept("bulkhead", bulkhead, (settings) => createBulkhead(settings, clock)),
    budget: kept("budget", retries?.budget, (settings) => createRetryBudget(settings, clock)),
    hedges: kept("hedges", hedge && { ratio: hedge.ratio, min: 1, window: HEDGE_WINDOW }, (settings) =>
      createRetryBudget(settings, clock),
    ),
    latencies: kept("latencies", hedge && "percentile" in hedge.after ? {} : undefined, () =>
      createLatencyWindow(clock),
    ),
    close() {
      for (const key of keys.splice(0)) state.policies.release(key);
    },
  };
}
