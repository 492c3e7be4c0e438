import { expect, test } from "bun:test";
import fc from "fast-check";
import { ConnectionError } from "./frames.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { LONG_STRING, takeLongStrings } from "./long-strings.ts";

const LIMITS = { headerBytes: 1e7, headerCount: 1000 };

/** RFC 7541 §5.1, §5.2. */
function string(text: string, coded: boolean): Buffer {
  // Eight times "a" are five bytes of Huffman code.
  const bytes = coded
    ? Buffer.concat(Array.from({ length: text.length / 8 }, () => Buffer.of(0x18, 0xc6, 0x31, 0x8c, 0x63)))
    : Buffer.from(text, "latin1");
  const flag = coded ? 0x80 : 0;
  if (bytes.byteLength < 127) return Buffer.concat([Buffer.of(flag | bytes.byteLength), bytes]);
  const length = [flag | 127];
  let rest = bytes.byteLength - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

function field(kind: number, name: string, value: string, coded = false): Buffer {
  return Buffer.concat([Buffer.of(kind), string(name, false), string(value, coded)]);
}

const long = fc.integer({ min: LONG_STRING / 8 + 1, max: 9_000 }).map((eighths) => "a".repeat(8 * eighths));
const literal = fc
  .record({
    kind: fc.constantFrom(0x00, 0x10, 0x40),
    name: fc.oneof({ weight: 5, arbitrary: fc.constantFrom("x-a", "x-b", "cookie") }, long),
    value: fc.oneof({ weight: 3, arbitrary: fc.constantFrom("1", "b".repeat(2_000)) }, long),
    coded: fc.boolean(),
  })
  .map(({ kind, name, value, coded }) => field(kind, name, value, coded && value.length % 8 === 0));
/** Any entry of the table, old or young. */
const reference = fc.integer({ min: 1, max: 66 }).map((index) => Buffer.of(0x80 | index));
const named = fc
  .tuple(fc.constantFrom(2, 32, 62), long)
  .map(([index, value]) => Buffer.concat([Buffer.of(0x40 | index), string(value, true)]));
const blocks = fc.array(
  fc.array(fc.oneof(literal, reference, named), { maxLength: 8 }).map((parts) => Buffer.concat(parts)),
  { maxLength: 5 },
);

test("a decoder of short blocks and what was taken out make what was sent, block after block", () => {
  fc.assert(
    fc.property(blocks, (list) => {
      const whole = new HpackDecoder(LIMITS);
      const short = new HpackDecoder(LIMITS);
      for (const block of list) {
        let expected: readonly string[];
        try {
          expected = whole.decode(block).flat;
        } catch {
          // A reference to nothing, which ends the connection.
          return;
        }
        const { block: shortened, taken } = takeLongStrings(block);
        const { flat } = short.decode(shortened);
        expect(Math.max(0, ...flat.map((text) => text.length))).toBeLessThanOrEqual(LONG_STRING);
        for (const { index, name, value, standIn } of taken) {
          flat[2 * index] = name ?? flat[2 * index]!;
          expect(flat[2 * index + 1]).toBe(standIn);
          flat[2 * index + 1] = value;
        }
        expect(flat).toEqual([...expected]);
      }
    }),
    { numRuns: 200 },
  );
});

test.each([
  ["a line break in a value", field(0, "x-a", `${"a".repeat(LONG_STRING)}\nx`)],
  ["a line break at the end of a value", field(0, "x-a", `${"a".repeat(LONG_STRING)}\n`)],
  ["a pseudo-header that nobody knows", field(0x40, `:${"a".repeat(LONG_STRING)}`, "1")],
  ["an upper-case name", field(0x10, "A".repeat(LONG_STRING + 1), "1")],
])("%s stays malformed", (_what, block) => {
  const { block: short } = takeLongStrings(block);
  expect(new HpackDecoder(LIMITS).decode(short).flaw).toBeDefined();
});

test("a block that makes no sense is said to", () => {
  const cut = field(0, "x-a", "a".repeat(40_000)).subarray(0, 39_000);
  expect(() => takeLongStrings(cut)).toThrow(ConnectionError);
  expect(() => takeLongStrings(Buffer.of(0x40))).toThrow(ConnectionError);
  expect(() => takeLongStrings(Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff))).toThrow(ConnectionError);
});
