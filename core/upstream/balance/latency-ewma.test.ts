import { expect, test } from "bun:test";
import fc from "fast-check";
import { LatencyEwma } from "./latency-ewma.ts";

test("nothing is known at first", () => {
  expect(new LatencyEwma().at(1_000)).toBe(0);
});

test("a slower answer counts at once", () => {
  const latency = new LatencyEwma();
  latency.observe(10, 1_000);
  expect(latency.at(1_000)).toBe(10);
  latency.observe(500, 1_000.5);
  expect(latency.at(1_000.5)).toBe(500);
});

test("a faster answer counts by the time since the one before: two thirds after ten seconds", () => {
  const latency = new LatencyEwma();
  latency.observe(110, 0);
  latency.observe(10, 10_000);
  expect(latency.at(10_000)).toBeCloseTo(10 + 100 / Math.E, 6);
});

test("and a twentieth at least: what was slow once is over after so many answers", () => {
  const latency = new LatencyEwma();
  latency.observe(110, 0);
  latency.observe(10, 0);
  expect(latency.at(0)).toBeCloseTo(105, 6);
  for (let i = 0; i < 60; i++) latency.observe(10, i);
  expect(latency.at(60)).toBeLessThan(16);
});

test("steady answers pull it to their latency", () => {
  for (const interval of [1_000, 2_000]) {
    const latency = new LatencyEwma();
    latency.observe(1_000, 0);
    for (let now = interval; now <= 60_000; now += interval) latency.observe(20, now);
    expect(latency.at(60_000)).toBeCloseTo(20 + 980 * Math.exp(-6), 3);
  }
});

test("while nothing is observed it falls, and is forgotten after fifty seconds", () => {
  const latency = new LatencyEwma();
  latency.observe(1_000, 5_000);
  expect(latency.at(15_000)).toBeCloseTo(1_000 / Math.E, 6);
  expect(latency.at(54_999)).toBeGreaterThan(0);
  expect(latency.at(55_000)).toBe(0);
  latency.observe(7, 3_600_000);
  expect(latency.at(3_600_000)).toBe(7);
});

test("an answer that took no time is not an unknown one", () => {
  const latency = new LatencyEwma();
  latency.observe(0, 0);
  expect(latency.at(0)).toBeGreaterThan(0);
});

test("it lies between the fastest and the slowest that was observed, and above the latest", () => {
  const step = fc.record({
    ms: fc.double({ min: 0.01, max: 1e5, noNaN: true }),
    later: fc.double({ min: 0, max: 1e5, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 50 }), (steps) => {
      const latency = new LatencyEwma();
      let [now, slowest] = [0, 0];
      for (const { ms, later } of steps) {
        now += later;
        slowest = Math.max(slowest, ms);
        latency.observe(ms, now);
        expect(latency.at(now)).toBeGreaterThanOrEqual(ms);
        expect(latency.at(now)).toBeLessThanOrEqual(slowest * (1 + 1e-12));
      }
    }),
  );
});
