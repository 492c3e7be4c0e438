import { expect, test } from "bun:test";
import fc from "fast-check";
import { createSeededRandom } from "sluice/testing";
import { backoff, retryAfterOf } from "./backoff.ts";

/** Wed, 21 Oct 2015 07:28:00 GMT. */
const NOW = Date.UTC(2015, 9, 21, 7, 28);

test("each further try may wait twice as long, up to the most, evenly spread from nothing", () => {
  const random = createSeededRandom(7);
  for (const [attempt, most] of [
    [1, 25],
    [2, 50],
    [3, 100],
    [4, 200],
    [5, 250],
    [60, 250],
    [5_000, 250],
  ] as const) {
    const delays = Array.from({ length: 4_000 }, () => backoff(attempt, { base: 25, max: 250 }, random)).sort(
      (a, b) => a - b,
    );
    expect(delays[0]).toBeGreaterThanOrEqual(0);
    expect(delays.at(-1)).toBeLessThan(most);
    for (const quarter of [1, 2, 3]) {
      const off = delays[quarter * 1_000]! / most - quarter / 4;
      expect(Math.abs(off)).toBeLessThan(0.04);
    }
  }
});

test("no wait where none is configured", () => {
  expect(backoff(5_000, { base: 0, max: 250 }, { next: () => 0.9 })).toBe(0);
});

test.each([
  ["0", 0],
  ["1", 1_000],
  ["120", 120_000],
  ["007", 7_000],
  // RFC 9111 §1.2.2.
  ["99999999999999999999999999", 2 ** 31 * 1_000],
  ["9".repeat(10_000), 2 ** 31 * 1_000],
  ["Wed, 21 Oct 2015 07:28:00 GMT", 0],
  ["Wed, 21 Oct 2015 07:28:03 GMT", 3_000],
  ["Wed, 21 Oct 2015 07:27:00 GMT", 0],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["Mon, 29 Feb 2016 00:00:60 GMT", Date.UTC(2016, 1, 29, 0, 1) - NOW],
  ["Wednesday, 21-Oct-15 07:28:09 GMT", 9_000],
  // More than 50 years ahead is in the past.
  ["Sunday, 06-Nov-94 08:49:37 GMT", 0],
  ["Friday, 06-Nov-65 08:49:37 GMT", Date.UTC(2065, 10, 6, 8, 49, 37) - NOW],
  ["Sun Nov  6 08:49:37 2016", Date.UTC(2016, 10, 6, 8, 49, 37) - NOW],
  ["Sat Nov 26 08:49:37 2016", Date.UTC(2016, 10, 26, 8, 49, 37) - NOW],
])("Retry-After: %s", (value, ms) => {
  expect(retryAfterOf(value, NOW)).toBe(ms);
});

test.each([
  "",
  "-1",
  "+1",
  "1.5",
  "1e3",
  "0x10",
  "1, 2",
  "soon",
  "Infinity",
  "NaN",
  "٣",
  "2015-10-21T07:28:00Z",
  "Wed, 21 Oct 2015 07:28:00",
  "Wed, 21 Oct 2015 07:28:00 UTC",
  "Wed, 21 Oct 2015 07:28:00 +0100",
  "Wed, 21 oct 2015 07:28:00 GMT",
  "Wed, 1 Oct 2015 07:28:00 GMT",
  "Mon, 30 Feb 2015 00:00:00 GMT",
  "Mon, 29 Feb 2015 00:00:00 GMT",
  "Mon, 00 Oct 2015 00:00:00 GMT",
  "Mon, 12 Oct 2015 24:00:00 GMT",
  "Mon, 12 Oct 2015 23:60:00 GMT",
  "Mon, 12 Oct 2015 23:59:61 GMT",
  "Xxx, 12 Oct 2015 23:59:59 GMT",
  "Mon, 12 Oct 2015 23:59:59 GMT, Mon, 12 Oct 2015 23:59:59 GMT",
])("Retry-After that says nothing: %s", (value) => {
  expect(retryAfterOf(value, NOW)).toBeUndefined();
});

test("no Retry-After", () => {
  expect(retryAfterOf(undefined, NOW)).toBeUndefined();
});

test("whatever stands there is a number of milliseconds or nothing; every date comes back", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\w ,:-]{0,40}$/)), (value) => {
      const ms = retryAfterOf(value, NOW);
      if (ms !== undefined) expect(ms >= 0 && ms <= 2 ** 31 * 1_000).toBe(true);
    }),
  );
  const dates = fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true });
  fc.assert(
    fc.property(dates, (date) => {
      const seconds = Math.floor(date.getTime() / 1_000) * 1_000;
      expect(retryAfterOf(date.toUTCString(), 0)).toBe(seconds);
    }),
  );
});
