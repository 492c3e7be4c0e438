import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatSize, meantSize, parseSize } from "./sizes.ts";

test.each([
  ["1KiB", 1_024],
  ["64MiB", 67_108_864],
  ["1.5GiB", 1_610_612_736],
  ["2TiB", 2_199_023_255_552],
  ["512B", 512],
  ["512", 512],
  ["0", 0],
])("%s is %p bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each([
  "",
  "KiB",
  "64Ki",
  "64KB",
  "64K",
  "64 KiB",
  "-1KiB",
  "1.5",
  "0.3B",
  "1kib",
  "9007199254740992",
  "99999TiB99",
])("%p is no size", (text) => {
  expect(parseSize(text)).toBeUndefined();
});

test.each([
  ["64KB", "64KiB"],
  ["64k", "64KiB"],
  ["4 mb", "4MiB"],
  ["1.5g", "1.5GiB"],
  ["64KiB", undefined],
  ["lots", undefined],
])("%p was probably meant as %p", (text, meant) => {
  expect(meantSize(text)).toBe(meant);
});

test("every size is read back from its text", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      expect(parseSize(formatSize(bytes))).toBe(bytes);
    }),
  );
});
