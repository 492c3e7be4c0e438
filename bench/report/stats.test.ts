import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { CaseResult } from "./results.ts";
import { mannWhitney, max, median, mediansOf, min, percentile } from "./stats.ts";

describe("median and percentile", () => {
  test("are the middle and what is in proportion between two values", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
    expect(percentile([10, 20, 30, 40, 50], 0)).toBe(10);
    expect(percentile([10, 20, 30, 40, 50], 90)).toBe(46);
    expect(percentile([10, 20, 30, 40, 50], 100)).toBe(50);
  });

  test("stay between the lowest and the highest value", () => {
    fc.assert(
      fc.property(values(1, 30), fc.integer({ min: 0, max: 100 }), (all, p) => {
        expect(percentile(all, p)).toBeGreaterThanOrEqual(min(all));
        expect(percentile(all, p)).toBeLessThanOrEqual(max(all));
      }),
    );
  });
});

describe("Medians of a scenario's cases", () => {
  const cases: CaseResult[] = [
    {
      name: "one",
      runs: {
        direct: { command: "", samples: [{ p50: 1 }, { p50: 5 }, { p50: 2 }] },
        sluice: { command: "", samples: [{ p50: 1.5 }, { p50: 7 }, { p50: 5, p99: 9 }] },
        late: { command: "", samples: [{ p50: 4 }] },
      },
    },
  ];
  const { of, added } = mediansOf(cases);

  test("are of the rounds, and what is added is taken off round by round", () => {
    expect(of("one", "sluice", "p50")).toBe(5);
    expect(added("one", "sluice", "p50")).toBe(2);
    expect(of("one", "sluice", "p99")).toBe(9);
    expect(added("one", "late", "p50")).toBe(3);
  });

  test("are NaN where nothing was measured", () => {
    expect(of("two", "sluice", "p50")).toBeNaN();
    expect(of("one", "nobody", "p50")).toBeNaN();
    expect(added("one", "sluice", "p99")).toBeNaN();
  });
});

describe("Mann-Whitney", () => {
  test("gives the exact values of small samples", () => {
    // Two of the 252 ways to choose five of ten are as far out; of 20 for three of six; all ways are as far as the middle.
    expect(mannWhitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])).toBeCloseTo(2 / 252, 12);
    expect(mannWhitney([1, 2, 3, 4, 6], [5, 7, 8, 9, 10])).toBeCloseTo(4 / 252, 12);
    expect(mannWhitney([1, 2, 3], [4, 5, 6])).toBeCloseTo(2 / 20, 12);
    expect(mannWhitney([1, 4], [2, 3])).toBe(1);
    expect(mannWhitney([7, 7, 7], [7, 7])).toBe(1);
    expect(mannWhitney([], [1, 2])).toBe(1);
  });

  test("shares a rank among equal values", () => {
    // The six ways to choose two of {1, 2.5, 2.5, 4}; two of them add up to 3.5 or 6.5.
    expect(mannWhitney([1, 2], [2, 3])).toBeCloseTo(4 / 6, 12);
  });

  test("is a probability, symmetric, and the same under whatever keeps the order", () => {
    fc.assert(
      fc.property(values(1, 16), values(1, 16), (a, b) => {
        const p = mannWhitney(a, b);
        expect(p).toBeGreaterThan(0);
        expect(p).toBeLessThanOrEqual(1);
        expect(mannWhitney(b, a)).toBeCloseTo(p, 9);
        const cubed = (all: readonly number[]): number[] => all.map((value) => value ** 3 + 5);
        expect(mannWhitney(cubed(a), cubed(b))).toBe(p);
        const turned = (all: readonly number[]): number[] => all.map((value) => -value);
        expect(mannWhitney(turned(a), turned(b))).toBeCloseTo(p, 9);
      }),
    );
  });

  test("goes over to the approximation without a step", () => {
    const upTo = (count: number, from: number): number[] => Array.from({ length: count }, (_, i) => from + i);
    const exact = mannWhitney(upTo(12, 0), upTo(12, 4.5));
    const approximate = mannWhitney(upTo(13, 0), upTo(12, 5));
    expect(exact / approximate).toBeWithin(0.7, 1.4);
    expect(mannWhitney(upTo(20, 0), upTo(20, 100))).toBeLessThan(1e-6);
    expect(mannWhitney(upTo(20, 0), upTo(20, 0))).toBe(1);
  });
});

function values(minLength: number, maxLength: number): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: -50, max: 50 }), { minLength, maxLength });
}
