import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatShare, parseShare } from "./shares.ts";

test.each([
  [0, 0],
  [0.5, 0.5],
  [1, 1],
  ["0%", 0],
  ["7%", 0.07],
  ["12.5%", 0.125],
  ["99.9%", 0.999],
  ["100%", 1],
] as const)("%p is a share", (written, share) => {
  expect(parseShare(written)).toBe(share);
});

test.each([
  -0.1,
  1.01,
  50,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  "",
  "%",
  "0.5",
  "-1%",
  "101%",
  "5 %",
  "1e1%",
  ".5%",
])("%p is none", (written) => {
  expect(parseShare(written)).toBeUndefined();
});

test("what is formatted reads back as the same share", () => {
  expect(formatShare(0.07)).toBe("7%");
  const shares = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(shares, (share) => {
      const once = parseShare(formatShare(share));
      // A share below 10⁻⁶ is written with an exponent, which nobody means.
      if (share !== 0 && share < 1e-6) return;
      expect(once).toBeCloseTo(share, 10);
      expect(formatShare(once!)).toBe(formatShare(share));
    }),
  );
});
