import { expect, test } from "bun:test";
import fc from "fast-check";
import { KeptBytes } from "./kept-bytes.ts";

test("any bytes are there from any place on, in whatever pieces they came", () => {
  const size = fc.oneof(fc.nat(3), fc.integer({ min: 1_000, max: 1_050 }), fc.nat(9_000));
  fc.assert(
    fc.property(fc.array(size, { maxLength: 20 }), fc.nat(40_000), (sizes, wanted) => {
      const kept = new KeptBytes();
      const all: number[] = [];
      for (const length of sizes) {
        const piece = Uint8Array.from({ length }, (_, i) => (all.length + i) % 251);
        all.push(...piece);
        kept.add(piece);
      }
      expect(kept.length).toBe(all.length);
      let at = all.length === 0 ? 0 : wanted % all.length;
      for (let piece = kept.from(at); piece !== undefined; piece = kept.from(at)) {
        expect(Buffer.from(piece).equals(Buffer.from(all.slice(at, at + piece.byteLength)))).toBe(true);
        at += piece.byteLength;
      }
      expect(at).toBe(all.length);
    }),
    { numRuns: 300 },
  );
});

test("what was read stays as it was when more comes", () => {
  const kept = new KeptBytes();
  kept.add(Buffer.from("ab"));
  const read = kept.from(0)!;
  kept.add(Buffer.from("cd"));
  kept.add(Buffer.from("ef"));
  const more = kept.from(read.byteLength)!;
  expect([Buffer.from(read).toString(), Buffer.from(more).toString()]).toEqual(["ab", "cdef"]);
});

test("single bytes are few pieces", () => {
  const kept = new KeptBytes();
  for (let i = 0; i < 100_000; i++) kept.add(Uint8Array.of(i));
  let pieces = 0;
  for (let at = 0; at < kept.length; pieces++) at += kept.from(at)!.byteLength;
  expect(pieces).toBeLessThan(20);
});
