import { expect, test } from "bun:test";
import fc from "fast-check";
import { editDistance, nearest } from "./suggest.ts";

const KEYS = ["listeners", "upstreams", "routes", "on_error", "warn", "http1", "http2"];

test.each([
  ["listners", "listeners"],
  ["upstraems", "upstreams"],
  ["Routes", "routes"],
  ["on-error", "on_error"],
  ["onerror", "on_error"],
  ["warning", "warn"],
  ["up", undefined],
  ["http", "http1"],
  ["zzz", undefined],
  ["", undefined],
])("%p → %p", (word, expected) => {
  expect(nearest(word, KEYS)).toBe(expected);
});

test("a text is no typing mistake, and costs nothing to look at", () => {
  expect(nearest("x".repeat(100_000), ["x".repeat(100_001)])).toBeUndefined();
});

test("a swap of neighbours is one mistake", () => {
  expect(editDistance("grcp", "grpc")).toBe(1);
});

test("the distance is a symmetric one, and 0 for the same word alone", () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});
