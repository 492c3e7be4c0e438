import type { MetricName, Sample } from "../metric.ts";
import type { Medians } from "../scenario.ts";
import type { CaseResult } from "./results.ts";

/** Up to so many values on both sides together, every way to deal them out is counted. */
const EXACT = 24;

/** The middle one, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** `p` from 0 to 100, between two values in proportion; NaN of nothing. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = ((sorted.length - 1) * p) / 100;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  // Equal neighbours stay exactly what they are.
  return below === above ? below : below + (above - below) * (place - Math.floor(place));
}

/** Infinity of nothing. */
export function min(values: readonly number[]): number {
  return Math.min(...values);
}

/** -Infinity of nothing. */
export function max(values: readonly number[]): number {
  return Math.max(...values);
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: min(values), max: max(values) };
}

/** A metric round by round; undefined where a round has none. */
export function byRound(
  cases: readonly CaseResult[],
  case_: string,
  contender: string,
  metric: MetricName,
): readonly (number | undefined)[] {
  const samples: readonly Sample[] = cases.find(({ name }) => name === case_)?.runs[contender]?.samples ?? [];
  return samples.map((sample) => sample[metric]);
}

/** `combine` of both values of a round, where a round has both. */
export function together(
  a: readonly (number | undefined)[],
  b: readonly (number | undefined)[],
  combine: (a: number, b: number) => number,
): number[] {
  return a.flatMap((value, round) => {
    const other = b[round];
    return value === undefined || other === undefined ? [] : [combine(value, other)];
  });
}

export function present(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined);
}

/** What a contender needed over the origin without a proxy, of each round that has both. */
export function addedOver(
  cases: readonly CaseResult[],
  case_: string,
  contender: string,
  metric: MetricName,
): number[] {
  return together(
    byRound(cases, case_, contender, metric),
    byRound(cases, case_, "direct", metric),
    (own, direct) => own - direct,
  );
}

export function mediansOf(cases: readonly CaseResult[]): Medians {
  return {
    of: (case_, contender, metric) => median(present(byRound(cases, case_, contender, metric))),
    added: (case_, contender, metric) => median(addedOver(cases, case_, contender, metric)),
  };
}

/**
 * How probable it is, from 0 to 1, that two samples of one and the same distribution differ in their ranks by as much
 * as `a` and `b` do, in either direction (Mann & Whitney 1947). Asks nothing of the distribution. Exact for up to 24
 * values, equal ones among them too: the share of all ways to deal the ranks out; above that the normal approximation,
 * corrected for ties and for continuity. Five values a side that do not overlap: 2/252.
 */
export function mannWhitney(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0 || b.length === 0) return 1;
  const ranks = doubledRanks([...a, ...b]);
  const sum = ranks.slice(0, a.length).reduce((total, rank) => total + rank, 0);
  return ranks.length <= EXACT
    ? exactly(ranks, a.length, sum)
    : approximately(ranks, a.length, b.length, sum);
}

/** Ranks from 1, times two: equal values share the mean of theirs, and twice that is whole. */
function doubledRanks(values: readonly number[]): number[] {
  const sorted = values.toSorted((x, y) => x - y);
  return values.map((value) => sorted.indexOf(value) + 1 + sorted.lastIndexOf(value) + 1);
}

function exactly(ranks: readonly number[], size: number, sum: number): number {
  const total = ranks.reduce((all, rank) => all + rank, 0);
  // ways[n][s]: how many choices of n ranks add up to s.
  const ways = Array.from({ length: size + 1 }, () => new Float64Array(total + 1));
  ways[0]![0] = 1;
  for (const rank of ranks)
    for (let n = size; n > 0; n--)
      for (let s = total; s >= rank; s--) ways[n]![s]! += ways[n - 1]![s - rank]!;
  const mean = (size * total) / ranks.length;
  const distance = Math.abs(sum - mean);
  let all = 0;
  let asFar = 0;
  ways[size]!.forEach((count, s) => {
    all += count;
    // The mean may be off by a rounding; sums are whole, or halves of whole ones apart.
    if (Math.abs(s - mean) >= distance - 1e-9) asFar += count;
  });
  return asFar / all;
}

function approximately(ranks: readonly number[], sizeA: number, sizeB: number, doubledSum: number): number {
  const n = ranks.length;
  const distance = Math.abs(doubledSum / 2 - (sizeA * (n + 1)) / 2);
  const times = new Map<number, number>();
  for (const rank of ranks) times.set(rank, (times.get(rank) ?? 0) + 1);
  const ties = times.values().reduce((sum, t) => sum + t ** 3 - t, 0);
  const variance = ((sizeA * sizeB) / 12) * (n + 1 - ties / (n * (n - 1)));
  if (variance <= 0 || distance <= 0.5) return 1;
  return Math.min(1, 2 * upperTail((distance - 0.5) / Math.sqrt(variance)));
}

/** Of the normal distribution, above z >= 0: Abramowitz & Stegun 7.1.26, off by 1.5e-7 at most. */
function upperTail(z: number): number {
  const x = z / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const polynomial =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return (polynomial * Math.exp(-x * x)) / 2;
}
