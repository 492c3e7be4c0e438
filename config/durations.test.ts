import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, isTooLong, MAX_DURATION, parseDuration } from "./durations.ts";

test.each([
  ["500ms", 500],
  ["2s", 2_000],
  ["1m", 60_000],
  ["1h", 3_600_000],
  ["1d", 86_400_000],
  ["1.5s", 1_500],
  ["0.1s", 100],
  ["1.1s", 1_100],
  ["1m30s", 90_000],
  ["1h0m5s250ms", 3_605_250],
  ["0s", 0],
  ["24d", MAX_DURATION],
])("%s is %p ms", (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.each([
  "",
  "5",
  "s",
  "5 s",
  "5S",
  "-5s",
  "+5s",
  "1e3s",
  "5sec",
  "30s1m",
  "1s1s",
  "0.5ms",
  "1.0005s",
  "٣s",
  "24d1ms",
])("%p is no duration", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test("what is too long is told from what is no duration", () => {
  expect(isTooLong("25d")).toBe(true);
  expect(isTooLong("99999999999999h")).toBe(true);
  expect(isTooLong("24d")).toBe(false);
  expect(isTooLong("soon")).toBe(false);
});

test("every duration is read back from its text", () => {
  fc.assert(
    fc.property(fc.nat({ max: MAX_DURATION }), (milliseconds) => {
      expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds);
    }),
  );
});

test("every other text is refused or is a whole number within bounds", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."0123456789.mshd ") }), (text) => {
      const parsed = parseDuration(text) ?? 0;
      expect(Number.isInteger(parsed) && parsed >= 0 && parsed <= MAX_DURATION).toBe(true);
    }),
  );
});
