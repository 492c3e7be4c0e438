import { expect, test } from "bun:test";
import { quantilesOf } from "./quantiles.ts";

test("quantiles are samples, by nearest rank, whatever their order", () => {
  const samples = Float64Array.from({ length: 1_000 }, (_, i) => ((i * 7) % 1_000) + 1);
  expect(quantilesOf(samples)).toEqual({ p50: 500, p90: 900, p99: 990, "p99.9": 999, max: 1_000 });
});

test("one sample is every quantile, and none is no quantile", () => {
  expect(quantilesOf(Float64Array.of(3))).toEqual({ p50: 3, p90: 3, p99: 3, "p99.9": 3, max: 3 });
  expect(() => quantilesOf(new Float64Array())).toThrow("no sample");
});
