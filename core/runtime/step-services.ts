import { dirname, resolve } from "node:path";
import type { Clock, Random, Services, Upstreams } from "sluice/plugin";
import type { StepConfig } from "../../config/types.ts";
import { createPolicies } from "../policies/index.ts";
import type { KeepScope } from "../services/keep.ts";
import type { RootLog } from "../services/log.ts";
import type { MetricsRegistry } from "../services/metrics.ts";
import { plainFetch } from "../services/plain-fetch.ts";

/** What the process shares with every step. */
export interface SharedServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: RootLog;
  readonly metrics: MetricsRegistry;
}

/** The services of one step: named in its log lines, with its own corner of the kept state. */
export function stepServices(
  step: StepConfig,
  shared: SharedServices,
  upstreams: Upstreams,
  scope: KeepScope,
): Services {
  const { clock, random, log, metrics } = shared;
  const base = dirname(step.place.file);
  return {
    clock,
    random,
    log: log.child({ plugin: step.plugin, step: step.key }),
    metrics,
    upstreams,
    policies: createPolicies(clock),
    fetch: plainFetch,
    step: step.key,
    resolvePath: (path) => resolve(base, path),
    keep: (key, create, close) => scope.keep(`plugin:${step.plugin}:${key}`, create, close),
  };
}
