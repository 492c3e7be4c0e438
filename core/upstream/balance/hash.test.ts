import { expect, test } from "bun:test";
import fc from "fast-check";
import { hashText, mix } from "./hash.ts";

const BUCKETS = 1_024;

/** Chi-squared over 1,023 degrees of freedom: 1,023 on average, above 1,168 in one of a thousand honest draws. */
function unevenness(hashes: Iterable<number>, bucket: (hash: number) => number): number {
  const counts = new Float64Array(BUCKETS);
  let total = 0;
  for (const hash of hashes) {
    counts[bucket(hash)]!++;
    total++;
  }
  const mean = total / BUCKETS;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
}

const similar: [name: string, text: (i: number) => string][] = [
  ["numbers", (i) => `${i}`],
  ["users", (i) => `user-${String(i).padStart(8, "0")}`],
  ["addresses", (i) => `10.0.${i >> 8}.${i & 255}`],
  ["numbers in front", (i) => `${i}.sessions.example.com`],
  ["two letters", (i) => String.fromCharCode(97 + (i % 26), 0x4e00 + Math.floor(i / 26))],
];

test.each(similar)("similar texts are spread evenly over the upper and the lower bits: %s", (_, text) => {
  const hashes = Array.from({ length: 65_536 }, (_unused, i) => hashText(text(i)));
  expect(unevenness(hashes, (hash) => hash & (BUCKETS - 1))).toBeLessThan(1_168);
  expect(unevenness(hashes, (hash) => hash >>> 22)).toBeLessThan(1_168);
});

test("a hash is 32 bits, the same every time and everywhere", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const hash = hashText(text);
      expect(hash).toBe(hash >>> 0);
      expect(hashText(text)).toBe(hash);
    }),
  );
  expect(["", "a", "user-1", "schlüssel"].map((text) => hashText(text))).toEqual(KNOWN);
});

test("one bit of difference changes about half of the bits", () => {
  let changed = 0;
  for (let i = 0; i < 1_000; i++)
    for (let bit = 0; bit < 32; bit++) {
      const difference = mix(mix(i)) ^ mix(mix(i) ^ (1 << bit));
      changed += (difference >>> 0).toString(2).replaceAll("0", "").length;
    }
  expect(changed / 32_000 / 32).toBeGreaterThan(0.49);
  expect(changed / 32_000 / 32).toBeLessThan(0.51);
});

test("texts that meet under one seed part under another", () => {
  const count = 200_000;
  const first = new Map<number, string>();
  let meetings = 0;
  for (let i = 0; i < count; i++) {
    const text = `http://10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:8080`;
    const other = first.get(hashText(text));
    if (other === undefined) first.set(hashText(text), text);
    else {
      meetings++;
      expect(hashText(text, 1)).not.toBe(hashText(other, 1));
    }
  }
  // By chance, count² / 2³³.
  expect(meetings).toBeLessThan(15);
});

/** Changing these would move the keys of everybody who uses a consistent hash. */
const KNOWN = [2_872_998_923, 444_641_715, 2_005_895_916, 1_110_825_747];
