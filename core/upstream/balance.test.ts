import { expect, test } from "bun:test";
import fc from "fast-check";
import { SmoothRoundRobin } from "./balance.ts";

const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 });

function take(order: SmoothRoundRobin, count: number): number[] {
  return Array.from({ length: count }, () => order.next());
}

test("weights 5, 1, 1 are spread as nginx documents it", () => {
  expect(take(new SmoothRoundRobin([5, 1, 1]), 7)).toEqual([0, 0, 1, 0, 2, 0, 0]);
});

test("equal weights take turns", () => {
  expect(take(new SmoothRoundRobin([1, 1, 1]), 6)).toEqual([0, 1, 2, 0, 1, 2]);
});

test("nothing to pick from is -1", () => {
  expect(new SmoothRoundRobin([]).next()).toBe(-1);
});

test("any run of k times the sum of the weights has every index k times its weight, wherever it begins", () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 3 }), fc.nat(100), (list, k, skipped) => {
      const order = new SmoothRoundRobin(list);
      take(order, skipped);
      const sum = list.reduce((a, b) => a + b, 0);
      const counts = list.map(() => 0);
      for (const index of take(order, k * sum)) counts[index]!++;
      expect(counts).toEqual(list.map((weight) => k * weight));
    }),
  );
});

test("fractional weights keep their proportions", () => {
  const counts = [0, 0];
  for (const index of take(new SmoothRoundRobin([0.5, 1.5]), 4_000)) counts[index]!++;
  expect(counts).toEqual([1_000, 3_000]);
});
