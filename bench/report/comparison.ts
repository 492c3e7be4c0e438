import { type Metric, metricOf, type MetricName } from "../metric.ts";
import { differencesOf } from "./comparable.ts";
import { DIRECT, metricsOf, YARDSTICKS } from "./contenders.ts";
import type { CaseResult, Results, ScenarioResult } from "./results.ts";
import {
  addedOver,
  byRound,
  mannWhitney,
  median,
  present,
  type Spread,
  spreadOf,
  together,
} from "./stats.ts";

/** Below, five values a side that do not overlap, and nothing less. */
const P = 0.01;
/** Of the old figure; less is of no interest. */
const SHARE = 0.05;
/** With fewer, no difference is improbable enough. */
const ROUNDS = 5;

/** `unknown`: too few rounds to say. */
export type Verdict = "worse" | "better" | "same" | "unknown";

/** Two sets of rounds set against each other. */
export interface View {
  readonly old: Spread;
  readonly new: Spread;
  /** Of the medians, in the unit of the view. */
  readonly difference: number;
  /** As a share of the old figure. */
  readonly change: number;
  /** How probable so much is by chance alone. */
  readonly p: number;
}

export interface Figure {
  readonly scenario: string;
  readonly case: string;
  /** "sluice", or "sluice:slow" where they have two names. */
  readonly contender: string;
  readonly metric: MetricName;
  readonly verdict: Verdict;
  /** `machine`: moved, but so did the rest; `hidden`: did not move while the rest did. Verdict `same`. */
  readonly why?: "machine" | "hidden";
  readonly measured: View;
  /** Over direct in the same round, in the metric's unit. */
  readonly overDirect?: View;
  /** As a multiple of the peers' geometric mean in the same round. */
  readonly toPeers?: View & { readonly peers: readonly string[] };
}

export interface Comparison {
  /** What makes the two runs hard to compare. */
  readonly warnings: readonly string[];
  readonly figures: readonly Figure[];
  /** Contenders that failed in the new run only. */
  readonly failures: readonly { scenario: string; contender: string; failure: string }[];
  /** Figures that one run has and the other has not. */
  readonly unmatched: number;
}

/** Names of a contender in the old run and in the new one. */
export type Pair = readonly [old: string, new: string];

/** Every figure of these contenders, or of all that have one name in both runs. */
export function compareResults(old: Results, fresh: Results, pairs: readonly Pair[] | "all"): Comparison {
  const figures: Figure[] = [];
  const failures: { scenario: string; contender: string; failure: string }[] = [];
  let unmatched = 0;
  const { warnings, comparable } = differencesOf(old, fresh);
  for (const name of new Set([...old.scenarios, ...fresh.scenarios].map((one) => one.name))) {
    const before = scenarioOf(old, name);
    const after = scenarioOf(fresh, name);
    for (const pair of pairs === "all" ? sameNames(before, after) : pairs) {
      const failure = failureOf(after, pair[1]);
      if (failure !== undefined && failureOf(before, pair[0]) === undefined)
        failures.push({ scenario: name, contender: nameOf(pair), failure });
      const peers = YARDSTICKS.filter((peer) => !pair.includes(peer) && comparable(name, peer));
      const all = figuresOf(name, before, after, pair, peers);
      figures.push(...all);
      unmatched += unmatchedOf(before, after, pair, all.length);
    }
  }
  return { warnings, figures, failures, unmatched };
}

type Ran = Pick<ScenarioResult, "contenders" | "cases">;

function scenarioOf({ scenarios }: Results, name: string): Ran {
  return scenarios.find((one) => one.name === name) ?? { contenders: [], cases: [] };
}

function sameNames(old: Ran, fresh: Ran): Pair[] {
  const names = new Set(old.contenders.map(({ name }) => name));
  return fresh.contenders.filter(({ name }) => names.has(name)).map(({ name }) => [name, name]);
}

function failureOf(scenario: Ran, contender: string): string | undefined {
  return scenario.contenders.find(({ name }) => name === contender)?.failure;
}

function nameOf([old, fresh]: Pair): string {
  return old === fresh ? old : `${old}:${fresh}`;
}

/** A case of the old run and the same of the new one. */
interface Cases {
  readonly old: CaseResult;
  readonly fresh: CaseResult;
}

function figuresOf(
  scenario: string,
  before: Ran,
  after: Ran,
  pair: Pair,
  peers: readonly string[],
): Figure[] {
  return after.cases.flatMap((fresh) => {
    const old = before.cases.find(({ name }) => name === fresh.name);
    if (old === undefined) return [];
    return metricsOf([fresh]).flatMap((metric): Figure[] => {
      const figure = compareFigure({ old, fresh }, pair, metric, peers);
      return figure === undefined
        ? []
        : [{ scenario, case: fresh.name, contender: nameOf(pair), metric, ...figure }];
    });
  });
}

function unmatchedOf(before: Ran, after: Ran, [a, b]: Pair, both: number): number {
  const count = ({ cases }: Ran, name: string): number =>
    cases
      .flatMap(({ runs }) => runs[name]?.samples.slice(0, 1) ?? [])
      .reduce((sum, sample) => sum + Object.keys(sample).length, 0);
  return count(before, a) + count(after, b) - 2 * both;
}

type Compared = Omit<Figure, "scenario" | "case" | "contender" | "metric">;

function compareFigure(
  cases: Cases,
  pair: Pair,
  name: MetricName,
  peers: readonly string[],
): Compared | undefined {
  const metric = metricOf(name);
  const old = present(roundsOf(cases.old, pair[0], name));
  const fresh = present(roundsOf(cases.fresh, pair[1], name));
  if (old.length === 0 || fresh.length === 0) return undefined;
  const measured = viewOf(old, fresh);
  const overDirect = viewOverDirect(cases, pair, name, measured);
  const toPeers = viewToPeers(cases, pair, name, peers);
  return {
    ...verdictOf(metric, measured, overDirect, toPeers),
    ...(Math.min(old.length, fresh.length) < ROUNDS && { verdict: "unknown" as const }),
    measured,
    ...(overDirect !== undefined && { overDirect }),
    ...(toPeers !== undefined && { toPeers }),
  };
}

function roundsOf(one: CaseResult, contender: string, metric: MetricName): readonly (number | undefined)[] {
  return byRound([one], one.name, contender, metric);
}

/** @param scale what the change is a share of, where it is not the old median */
function viewOf(old: readonly number[], fresh: readonly number[], scale = Math.abs(median(old))): View {
  const difference = median(fresh) - median(old);
  return {
    old: spreadOf(old),
    new: spreadOf(fresh),
    difference,
    change: difference === 0 ? 0 : difference / scale,
    p: mannWhitney(old, fresh),
  };
}

function viewOverDirect(
  { old, fresh }: Cases,
  [a, b]: Pair,
  metric: MetricName,
  measured: View,
): View | undefined {
  if (!metricOf(metric).overDirect || a === DIRECT || b === DIRECT) return undefined;
  const before = addedOver([old], old.name, a, metric);
  const after = addedOver([fresh], fresh.name, b, metric);
  // What is added may be next to nothing: the share is of the whole.
  return before.length < ROUNDS || after.length < ROUNDS
    ? undefined
    : viewOf(before, after, Math.abs(measured.old.median));
}

function viewToPeers(
  { old, fresh }: Cases,
  [a, b]: Pair,
  metric: MetricName,
  peers: readonly string[],
): Figure["toPeers"] {
  // How much memory a program takes does not depend on how fast the machine is today.
  if (["MB", "KB"].includes(metricOf(metric).unit)) return undefined;
  const ofBoth = (peer: string): boolean => hasAll(old, a, peer, metric) && hasAll(fresh, b, peer, metric);
  let used = peers.filter(ofBoth);
  if (used.length === 0 && a !== DIRECT && b !== DIRECT) used = [DIRECT].filter(ofBoth);
  if (used.length === 0) return undefined;
  const ratios = (one: CaseResult, contender: string): number[] =>
    together(roundsOf(one, contender, metric), meansOf(one, used, metric), (own, mean) => own / mean);
  return { ...viewOf(ratios(old, a), ratios(fresh, b)), peers: used };
}

/** Whether a peer has a figure for each round that the contender has one for. */
function hasAll(one: CaseResult, contender: string, peer: string, metric: MetricName): boolean {
  const theirs = roundsOf(one, peer, metric);
  return roundsOf(one, contender, metric).every(
    (own, round) => own === undefined || (theirs[round] ?? 0) > 0,
  );
}

/** The peers' geometric mean, round by round. */
function meansOf(one: CaseResult, peers: readonly string[], metric: MetricName): (number | undefined)[] {
  const all = peers.map((peer) => roundsOf(one, peer, metric));
  const rounds = Math.min(...all.map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) => {
    const values = present(all.map((figures) => figures[round]));
    return values.length < peers.length
      ? undefined
      : Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
  });
}

/**
 * As measured, a figure has to have moved by enough; that it was not chance has to show in the figures that the machine's
 * pace is taken out of, each of them that there is, or else in the measured ones.
 */
function verdictOf(
  metric: Metric,
  measured: View,
  overDirect: View | undefined,
  toPeers: View | undefined,
): Pick<Figure, "verdict" | "why"> {
  const beyond = ({ difference, change }: View, floor: number): number =>
    Math.abs(change) > SHARE && Math.abs(difference) > floor ? Math.sign(difference) : 0;
  const surely = (view: View, floor: number): number => (view.p < P ? beyond(view, floor) : 0);
  const corrected = [
    ...(overDirect === undefined ? [] : [surely(overDirect, metric.floor)]),
    // A ratio has no unit, so that its share alone counts.
    ...(toPeers === undefined ? [] : [surely(toPeers, 0)]),
  ];
  const asMeasured = surely(measured, metric.floor);
  const [first = asMeasured] = corrected;
  const direction = corrected.every((one) => one === first) ? first : 0;
  if (direction === 0) return asMeasured === 0 ? { verdict: "same" } : { verdict: "same", why: "machine" };
  if (beyond(measured, metric.floor) === direction)
    return { verdict: direction > 0 === (metric.better === "more") ? "better" : "worse" };
  // What is below the floor even so is not hidden.
  const worth = Math.abs(measured.old.median) * Math.abs(toPeers?.change ?? 0);
  return worth > metric.floor ? { verdict: "same", why: "hidden" } : { verdict: "same" };
}
