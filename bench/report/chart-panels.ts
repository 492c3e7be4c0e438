import { metricOf, type MetricName } from "../metric.ts";
import { DIRECT, SLUICE } from "./contenders.ts";
import type { CaseResult, Results, ScenarioResult } from "./results.ts";
import { addedOver, byRound, present, type Spread, spreadOf } from "./stats.ts";

/** Panels of one question, which stand together. */
export interface Section {
  readonly title: string;
  /** Which way is good. */
  readonly hint: string;
  readonly panels: readonly Panel[];
}

/** One metric of one case. */
export interface Panel {
  readonly title: string;
  readonly subtitle: string;
  readonly bars: readonly Bar[];
}

export interface Bar extends Spread {
  readonly contender: string;
}

/** As many as can be looked at. */
const MOST = 6;

/** What the picture shows: throughput and CPU of the first scenarios that have them, then latency added by proxies. */
export function sectionsOf({ scenarios }: Results): Section[] {
  const own = (metric: MetricName): Panel[] =>
    panelsOf(scenarios, metric, "64", (...of) => present(byRound(...of))).slice(0, MOST);
  const added = (metric: MetricName): Panel[] => panelsOf(scenarios, metric, "1,000", addedOver).slice(0, 2);
  const sections: Section[] = [
    { title: "Throughput", hint: "longer is better", panels: own("throughput") },
    { title: "CPU a request", hint: "shorter is better", panels: own("cpu") },
    {
      title: "Latency added over direct",
      hint: "shorter is better",
      panels: (["p50", "p99", "firstEventP99"] as const).flatMap(added),
    },
  ];
  return sections.filter(({ panels }) => panels.length > 0);
}

function panelsOf(
  scenarios: readonly ScenarioResult[],
  metric: MetricName,
  count: string,
  valuesOf: typeof addedOver,
): Panel[] {
  const { title, unit, overDirect } = metricOf(metric);
  return scenarios.flatMap((scenario): Panel[] => {
    const case_ = mainCase(scenario, metric, count)?.name;
    if (case_ === undefined) return [];
    const bars = scenario.contenders.flatMap(({ name, failure }): Bar[] => {
      const values =
        name === DIRECT || failure !== undefined ? [] : valuesOf(scenario.cases, case_, name, metric);
      return values.length === 0 ? [] : [{ contender: name, ...spreadOf(values) }];
    });
    // Alone, or without Sluice, a bar says nothing.
    if (bars.length < 2 || !bars.some(({ contender }) => contender === SLUICE)) return [];
    const what = overDirect ? `${title}, ${unit}` : unit;
    return [{ title: scenario.title, subtitle: `${what} · ${case_}`, bars }];
  });
}

/** The one of so many connections or requests; else the one in the middle. */
function mainCase(scenario: ScenarioResult, metric: MetricName, count: string): CaseResult | undefined {
  const cases = scenario.cases.filter(({ runs }) =>
    runs[SLUICE]?.samples.some((sample) => sample[metric] !== undefined),
  );
  return cases.find(({ name }) => name.startsWith(`${count} `)) ?? cases[(cases.length - 1) >> 1];
}
