import { expect, test } from "bun:test";
import { createSeededRandom } from "sluice/testing";
import type { BalanceAlgorithm } from "../../../config/types.ts";
import { mix } from "./hash.ts";
import { createBalancer } from "./index.ts";
import { ALGORITHMS, FakeTarget, percentile, simulate } from "./test-simulation.ts";

/** A thousand targets: half of them twice as fast and of twice the weight; every fiftieth ten times as slow as it should be. */
const TARGETS = Array.from({ length: 1_000 }, (_, i) => {
  const weight = (i % 2) + 1;
  return { weight, serviceMs: (20 / weight) * (i % 50 === 7 ? 10 : 1) };
});
const TOTAL_WEIGHT = TARGETS.reduce((sum, { weight }) => sum + weight, 0);
const REQUESTS = 1_000_000;
/** A millisecond; half of what they could serve if none were slow. */
const RATE = 0.5 * TARGETS.reduce((sum, { weight }) => sum + weight / 20, 0);

interface Figures {
  /** Requests by weight, where 1 is an equal share, from the least to the greatest. */
  readonly fast: Float64Array;
  readonly slow: Float64Array;
  readonly p50: number;
  readonly p99: number;
  readonly seconds: number;
}

function run(algorithm: BalanceAlgorithm): Figures {
  const start = performance.now();
  const { targets, latencies } = simulate({ algorithm, targets: TARGETS, requests: REQUESTS, rate: RATE });
  const shares = (slow: boolean): Float64Array =>
    Float64Array.from(
      targets.filter((_, i) => (i % 50 === 7) === slow),
      ({ asked, weight }) => (asked / weight / REQUESTS) * TOTAL_WEIGHT,
    ).sort();
  return {
    fast: shares(false),
    slow: shares(true),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    seconds: (performance.now() - start) / 1_000,
  };
}

/** Nanoseconds of a pick, the best of some rounds: others use this machine too. */
function pickCost(algorithm: BalanceAlgorithm, count: number): number {
  const targets = Array.from({ length: count }, (_, i) => new FakeTarget(`${i}`));
  const balancer = createBalancer<FakeTarget>(algorithm, createSeededRandom(1));
  balancer.update(targets);
  for (const [i, target] of targets.entries()) {
    target.latency.observe(5 + (i % 10), 0);
    target.inFlight = i % 4;
  }
  // Each slot of the hash once, before it is measured.
  for (let i = 0; i < 65_536; i++) balancer.pick(0, i, undefined);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    for (let i = 0; i < 20_000; i++) balancer.pick(i / 50, mix(i), undefined);
    best = Math.min(best, (performance.now() - start) * 50);
  }
  return best;
}

function shareColumns(shares: Float64Array): string {
  const columns = [shares[0]!, percentile(shares, 0.5), shares.at(-1)!].map((share) =>
    share.toFixed(2).padStart(5),
  );
  return columns.join(" ");
}

test("the simulation agrees with theory: one target, busy half of the time (M/M/1)", () => {
  const targets = [{ weight: 1, serviceMs: 10 }];
  const { latencies } = simulate({ algorithm: "random", targets, requests: 200_000, rate: 0.05 });
  // Exponential, of average 1 / (1/10 - 0.05).
  expect(percentile(latencies, 0.5) / (20 * Math.LN2)).toBeCloseTo(1, 1);
  expect(percentile(latencies, 0.99) / (20 * Math.log(100))).toBeCloseTo(1, 1);
});

test("a thousand targets and a million requests for each algorithm", () => {
  const figures = new Map(ALGORITHMS.map((algorithm) => [algorithm, run(algorithm)]));
  const lines = ALGORITHMS.map((algorithm) => {
    const { fast, slow, p50, p99, seconds } = figures.get(algorithm)!;
    const latency = `${p50.toFixed(1).padStart(7)} ${p99.toFixed(1).padStart(9)}`;
    return `${algorithm.padEnd(16)} ${shareColumns(fast)} | ${shareColumns(slow)} | ${latency} | ${(REQUESTS / seconds / 1_000).toFixed(0).padStart(6)}`;
  });
  console.log(`1,000 targets of weights 1 and 2, 20 of them ten times as slow as their weight says; ${REQUESTS} requests
                 share by weight   | of the slow ones  | latency, ms       | simulated
                   min median max  |  min median max   |    p50       p99  | thousands/s
${lines.join("\n")}`);

  for (const [algorithm, { fast, slow, p99 }] of figures) {
    const random = figures.get("random")!;
    const looksAtTargets = algorithm === "ewma" || algorithm === "least-request";
    const [least, most] = { "round-robin": [0.99, 1.01], random: [0.75, 1.25] }[algorithm as string] ?? [
      0.4, 1.7,
    ];
    expect(fast[0]).toBeGreaterThan(least!);
    expect(fast.at(-1)).toBeLessThan(most!);
    expect(slow[0]! > 0).toBe(true);
    if (!looksAtTargets) continue;
    expect(p99).toBeLessThan(random.p99 / 50);
    expect(percentile(slow, 0.5)).toBeLessThan(algorithm === "ewma" ? 0.15 : 0.35);
  }
  expect(figures.get("ewma")!.p99).toBeLessThan(figures.get("least-request")!.p99);
}, 60_000);

test("a pick costs about the same among two targets and among a thousand", () => {
  const lines = ALGORITHMS.map((algorithm) => {
    const [few, many] = [pickCost(algorithm, 2), pickCost(algorithm, 1_000)];
    // A request costs some 20 µs and more.
    expect(many - few).toBeLessThan(1_000);
    return `${algorithm.padEnd(16)} ${few.toFixed(0).padStart(4)} ${many.toFixed(0).padStart(6)}`;
  });
  console.log(`ns a pick, of      2  1,000\n${lines.join("\n")}`);
}, 60_000);
