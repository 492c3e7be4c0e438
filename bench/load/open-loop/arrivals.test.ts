import { expect, test } from "bun:test";
import fc from "fast-check";
import { arrivalTimes } from "./arrivals.ts";

test("a rate is so many arrivals, evenly spaced from the start", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 5 }), (rate, seconds) => {
      const times = arrivalTimes(rate, seconds);
      expect(times.length).toBe(rate * seconds);
      for (let i = 0; i < times.length; i += 97) expect(times[i]).toBeCloseTo((i * 1_000) / rate, 6);
    }),
    { numRuns: 30 },
  );
});

test("a Poisson process has the rate, gaps of all lengths, and repeats with its seed", () => {
  const times = arrivalTimes(1_000, 20, 7);
  expect(times).toEqual(arrivalTimes(1_000, 20, 7));
  expect(times).not.toEqual(arrivalTimes(1_000, 20, 8));
  expect(times.length).toBe(20_000);
  expect(times.at(-1)).toBeWithin(19_000, 21_000);
  const gaps = times.subarray(1).map((time, i) => time - times[i]!);
  expect(gaps.every((gap) => gap >= 0)).toBe(true);
  // Of an exponential distribution, 1 - 1/e are below the mean.
  expect(gaps.filter((gap) => gap < 1).length / gaps.length).toBeWithin(0.6, 0.66);
});
