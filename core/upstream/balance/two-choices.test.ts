import { expect, test } from "bun:test";
import { createSeededRandom } from "sluice/testing";
import { createBalancer } from "./index.ts";
import { FakeTarget, percentile, simulate, type SimulationResult } from "./test-simulation.ts";

type Algorithm = "least-request" | "ewma";
const both: Algorithm[] = ["least-request", "ewma"];

/** How often each is picked, while nobody's state changes. */
function counts(algorithm: Algorithm, targets: readonly FakeTarget[], picks = 10_000, now = 0): number[] {
  const balancer = createBalancer<FakeTarget>(algorithm, createSeededRandom(1));
  balancer.update(targets);
  const picked = Array.from({ length: picks }, () => balancer.pick(now, undefined, undefined));
  return targets.map((target) => picked.filter((one) => one === target).length);
}

/** Share of the requests that went to the `i`-th target, where 1 is an equal share. */
function shareOf({ targets, latencies }: SimulationResult, i: number): number {
  return (targets[i]!.asked / latencies.length) * targets.length;
}

test.each(both)("%s: of two targets the worse is not asked", (algorithm) => {
  const [busy, idle] = [new FakeTarget("busy"), new FakeTarget("idle")];
  for (const target of [busy, idle]) target.latency.observe(10, 0);
  busy.inFlight = 2;
  expect(counts(algorithm, [busy, idle])).toEqual([0, 10_000]);
});

test.each(both)("%s: equal load is load by weight", (algorithm) => {
  const targets = [new FakeTarget("a", 3), new FakeTarget("b", 1)];
  for (const target of targets) target.latency.observe(10, 0);
  targets[0]!.inFlight = 9;
  targets[1]!.inFlight = 3;
  const [heavy] = counts(algorithm, targets);
  expect(heavy! / 10_000).toBeCloseTo(0.75, 1);
  targets[0]!.inFlight = 30;
  expect(counts(algorithm, targets)[0]).toBe(0);
});

test.each(both)("%s: with many targets the worst of all is never asked", (algorithm) => {
  const targets = Array.from({ length: 20 }, (_, i) => new FakeTarget(`${i}`));
  for (const target of targets) target.latency.observe(10, 0);
  targets[5]!.inFlight = 100;
  // By chance it could be drawn alone: the second draw is another one.
  expect(counts(algorithm, targets)[5]).toBe(0);
});

test.each(both)("%s: a target in slow start carries as much load as the ramp says", (algorithm) => {
  const targets = [new FakeTarget("a"), new FakeTarget("b")];
  for (const target of targets) target.latency.observe(10, 0);
  targets[0]!.ramp = 0.5;
  targets[0]!.inFlight = 6;
  targets[1]!.inFlight = 10;
  expect(counts(algorithm, targets)[0]).toBeLessThan(4_000);
  const balancer = createBalancer<FakeTarget>(algorithm, createSeededRandom(1));
  balancer.update(targets);
  for (let i = 0; i < 3_000; i++) balancer.pick(0, undefined, undefined)!.inFlight++;
  expect(targets[0]!.inFlight / targets[1]!.inFlight).toBeGreaterThan(0.4);
  expect(targets[0]!.inFlight / targets[1]!.inFlight).toBeLessThan(0.6);
});

test("ewma: a slow target is not asked while it is slow, and is tried again when that was long ago", () => {
  const [fast, slow] = [new FakeTarget("fast"), new FakeTarget("slow")];
  slow.latency.observe(500, 0);
  fast.latency.observe(10, 0);
  expect(counts("ewma", [fast, slow])).toEqual([10_000, 0]);
  fast.latency.observe(10, 49_000);
  fast.inFlight = 1;
  expect(counts("ewma", [fast, slow], 100, 49_000)).toEqual([0, 100]);
});

test("ewma: latencies within a fifth of each other are alike, and weights decide", () => {
  const [a, b] = [new FakeTarget("a", 3), new FakeTarget("b", 1)];
  a.latency.observe(11, 0);
  b.latency.observe(10, 0);
  const [heavy, light] = counts("ewma", [a, b]);
  expect(heavy! / light!).toBeCloseTo(3, 0);
});

test("ewma: a target that nothing is known of is asked at once, but by one request until it has answered", () => {
  const known = Array.from({ length: 2 }, (_, i) => new FakeTarget(`known-${i}`));
  for (const target of known) target.latency.observe(10, 0);
  const fresh = new FakeTarget("fresh");
  const balancer = createBalancer<FakeTarget>("ewma", createSeededRandom(1));
  balancer.update([...known, fresh]);
  let until = 0;
  for (; fresh.inFlight === 0; until++) balancer.pick(0, undefined, undefined)!.inFlight++;
  expect(until).toBeLessThan(10);
  for (let i = 0; i < 1_000; i++) balancer.pick(0, undefined, undefined)!.inFlight++;
  expect(fresh.inFlight).toBe(1);
  fresh.latency.observe(10, 0);
  for (let i = 0; i < 100; i++) balancer.pick(0, undefined, undefined)!.inFlight++;
  expect(fresh.inFlight).toBeGreaterThan(50);
});

test("ewma: where nobody has answered yet, the requests are spread", () => {
  const targets = Array.from({ length: 4 }, (_, i) => new FakeTarget(`${i}`));
  const balancer = createBalancer<FakeTarget>("ewma", createSeededRandom(1));
  balancer.update(targets);
  for (let i = 0; i < 400; i++) balancer.pick(0, undefined, undefined)!.inFlight++;
  for (const { inFlight } of targets) expect(Math.abs(inFlight - 100)).toBeLessThan(15);
});

test.each(both)("%s: one of ten targets ten times as slow gets few requests", (algorithm) => {
  const targets = Array.from({ length: 10 }, (_, i) => ({ weight: 1, serviceMs: i === 3 ? 100 : 10 }));
  const options = { targets, requests: 50_000, rate: 0.4 };
  const result = simulate({ ...options, algorithm });
  const random = simulate({ ...options, algorithm: "random" });
  expect(shareOf(random, 3)).toBeGreaterThan(0.9);
  expect(shareOf(result, 3)).toBeLessThan(algorithm === "ewma" ? 0.1 : 0.4);
  expect(percentile(result.latencies, 0.99)).toBeLessThan(percentile(random.latencies, 0.99) / 10);
  for (let i = 0; i < 10; i++) if (i !== 3) expect(shareOf(result, i)).toBeCloseTo(1.08, 0);
});

test.each(both)(
  "%s: targets three times as fast, of three times the weight, get about three times as many",
  (algorithm) => {
    const targets = Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0 ? { weight: 3, serviceMs: 10 } : { weight: 1, serviceMs: 30 },
    );
    const result = simulate({ algorithm, targets, requests: 50_000, rate: 0.5 * 10 * (1 / 10 + 1 / 30) });
    const heavy = result.targets
      .filter(({ weight }) => weight === 3)
      .reduce((sum, { asked }) => sum + asked, 0);
    expect(heavy / 50_000).toBeGreaterThan(0.72);
    expect(heavy / 50_000).toBeLessThan(0.9);
  },
);
