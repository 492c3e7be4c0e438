import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatGrpcTimeout, parseGrpcTimeout } from "./grpc-timeout.ts";

test.each([
  ["1H", 3_600_000],
  ["2M", 120_000],
  ["3S", 3_000],
  ["4m", 4],
  ["5u", 0.005],
  ["99999999n", 99.999999],
  ["0m", 0],
])("%s is %p ms", (text, expected) => {
  expect(parseGrpcTimeout(text)).toBeCloseTo(expected, 9);
});

test.each(["", "1", "S", "123456789m", "1s", "-1S", "1.5S", " 1S", "1 S", "1h"])(
  "%p is malformed",
  (text) => {
    expect(parseGrpcTimeout(text)).toBeUndefined();
  },
);

test("what is sent on is legal, never longer, and shorter by less than one part in a thousand", () => {
  // Up to what eight digits of hours hold.
  const longest = 99_999_999 * 3_600_000;
  const any = fc.oneof(
    fc.double({ min: 0.001, max: 200_000, noNaN: true }),
    fc.double({ min: 1, max: longest, noNaN: true }),
  );
  fc.assert(
    fc.property(any, (milliseconds) => {
      const back = parseGrpcTimeout(formatGrpcTimeout(milliseconds))!;
      expect(back).toBeLessThanOrEqual(milliseconds * (1 + 1e-12));
      expect(back).toBeGreaterThanOrEqual(milliseconds * 0.999 - 0.001);
    }),
  );
});

test("is at least one unit", () => {
  expect(formatGrpcTimeout(0)).toBe("1u");
  expect(formatGrpcTimeout(-5)).toBe("1u");
  expect(formatGrpcTimeout(1e300)).toBe("99999999H");
});
