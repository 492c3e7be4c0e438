import { METRICS, type MetricName } from "../metric.ts";
import type { CaseResult, Results, ScenarioResult } from "./results.ts";

export const DIRECT = "direct";
export const SLUICE = "sluice";

/** Proxies for any HTTP, which say how fast the machine was; the first of them that took part is what others are to. */
export const YARDSTICKS: readonly string[] = ["haproxy", "nginx", "caddy"];

/** Whose figures the others' are given as multiples of: one that has a version of its own, as builds of Sluice do not. */
export function referenceOf(scenario: ScenarioResult, versions: Results["versions"]): string | undefined {
  const names = scenario.contenders.map(({ name }) => name);
  return (
    YARDSTICKS.find((name) => names.includes(name)) ??
    names.find((name) => name !== DIRECT && name !== SLUICE && versions[name] !== undefined)
  );
}

/** What a case measured, of anybody, in the order of METRICS. */
export function metricsOf(cases: readonly CaseResult[]): MetricName[] {
  const samples = cases.flatMap(({ runs }) => Object.values(runs)).flatMap((run) => run.samples);
  return (Object.keys(METRICS) as MetricName[]).filter((metric) =>
    samples.some((sample) => sample[metric] !== undefined),
  );
}
