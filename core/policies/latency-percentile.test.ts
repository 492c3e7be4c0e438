import { expect, test } from "bun:test";
import fc from "fast-check";
import { createFakeClock } from "sluice/testing";
import { createLatencyWindow } from "./latency-percentile.ts";

test("nothing is said before there is enough to say it by", () => {
  const latencies = createLatencyWindow(createFakeClock());
  for (let i = 0; i < 99; i++) latencies.observe(10);
  expect(latencies.at(0.95)).toBeUndefined();
  latencies.observe(10);
  expect(latencies.at(0.95)).toBeWithin(9.6, 10.4);
});

test("percentiles of whatever was observed are some 3 % off at most", () => {
  const latency = fc.oneof(
    fc.double({ min: 0.1, max: 5_000, noNaN: true }),
    fc.double({ min: 0.1, max: 10, noNaN: true }),
    fc.double({ min: 1_000, max: 8_000_000, noNaN: true }),
    fc.constantFrom(0.25, 1, 16, 17, 1_000, 65_536),
  );
  fc.assert(
    fc.property(
      fc.array(latency, { minLength: 100, maxLength: 500 }),
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      (observed, percentile) => {
        const latencies = createLatencyWindow(createFakeClock());
        for (const ms of observed) latencies.observe(ms);
        const sorted = observed.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(percentile * sorted.length) - 1]!;
        expect(latencies.at(percentile)! / exact).toBeWithin(0.965, 1.035);
      },
    ),
    { numRuns: 300 },
  );
});

test("what is no latency breaks nothing", () => {
  const latencies = createLatencyWindow(createFakeClock());
  for (const ms of [Number.NaN, -5, 0, Number.POSITIVE_INFINITY, 2 ** 40, Number.MIN_VALUE])
    for (let i = 0; i < 50; i++) latencies.observe(ms);
  expect(latencies.at(0.1)).toBeLessThan(0.01);
  expect(latencies.at(0.99)).toBeWithin(8_000_000, 9_000_000);
});

test("it follows what changes, and forgets what was", async () => {
  const clock = createFakeClock();
  const latencies = createLatencyWindow(clock);
  const observe = (count: number, ms: number) => {
    for (let i = 0; i < count; i++) latencies.observe(ms);
  };
  observe(1_000, 10);
  expect(latencies.at(0.5)).toBeWithin(9.6, 10.4);
  observe(3_000, 100);
  // Asked again: what was said before does not stick.
  expect(latencies.at(0.5)).toBeWithin(96, 104);
  await clock.advance(30_000);
  // The older half still counts.
  expect(latencies.at(0.5)).toBeWithin(96, 104);
  observe(200, 1);
  expect(latencies.at(0.04)).toBeWithin(0.96, 1.04);
  await clock.advance(30_000);
  expect(latencies.at(0.99)).toBeWithin(0.96, 1.04);
  await clock.advance(60_000);
  expect(latencies.at(0.99)).toBeUndefined();
  observe(100, 5);
  await clock.advance(600_000);
  observe(99, 5);
  expect(latencies.at(0.5)).toBeUndefined();
});
