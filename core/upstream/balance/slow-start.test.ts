import { expect, test } from "bun:test";
import fc from "fast-check";
import { ramp } from "./slow-start.ts";

test("a target begins with a tenth of its weight and has all of it after the window", () => {
  expect([0, 2_500, 5_000, 7_500, 10_000, 60_000].map((ms) => ramp(ms, 10_000))).toEqual([
    0.1, 0.325, 0.55, 0.775, 1, 1,
  ]);
});

test("who was never away has all of its weight, and so has everybody where there is no window", () => {
  expect(ramp(Number.POSITIVE_INFINITY, 10_000)).toBe(1);
  expect(ramp(0, 0)).toBe(1);
});

test("the share is never below a tenth or above the whole, and never falls", () => {
  const ms = fc.double({ min: -1e6, max: 1e9, noNaN: true });
  fc.assert(
    fc.property(ms, ms, fc.double({ min: 0, max: 1e9, noNaN: true }), (a, b, window) => {
      const [early, late] = [ramp(Math.min(a, b), window), ramp(Math.max(a, b), window)];
      expect(early).toBeGreaterThanOrEqual(0.1);
      expect(late).toBeGreaterThanOrEqual(early);
      expect(late).toBeLessThanOrEqual(1);
    }),
  );
});
