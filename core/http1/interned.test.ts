import { expect, test } from "bun:test";
import fc from "fast-check";
import { KNOWN_NAMES } from "./field-names.ts";
import { fieldValue, interned, lowerCaseName } from "./interned.ts";

const bytes = fc.uint8Array({ maxLength: 80 });
const latin1 = (data: Uint8Array): string => Buffer.from(data).toString("latin1");
/** The text between other bytes, as in a head. */
const inside = (data: Uint8Array): [Uint8Array, number, number] => [
  Buffer.concat([Buffer.from("x"), data, Buffer.from("y")]),
  1,
  1 + data.byteLength,
];

test("every text is the one that stands there, whatever was read before", () => {
  // Few letters: texts that share a place in the table are to be met.
  const alike = fc
    .array(fc.constantFrom(0x61, 0x62, 0xe9), { maxLength: 12 })
    .map((codes) => Uint8Array.from(codes));
  fc.assert(
    fc.property(fc.array(fc.oneof(alike, bytes), { maxLength: 40 }), (texts) => {
      for (const data of texts) {
        expect(interned(...inside(data))).toBe(latin1(data));
        expect(fieldValue(-1, ...inside(data))).toBe(latin1(data));
        expect(fieldValue(KNOWN_NAMES.indexOf("accept"), ...inside(data))).toBe(latin1(data));
        expect(fieldValue(KNOWN_NAMES.indexOf("authorization"), ...inside(data))).toBe(latin1(data));
      }
    }),
  );
});

test("a name is in lower case, however it was written before", () => {
  const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,80}$/);
  fc.assert(
    fc.property(fc.array(token, { maxLength: 20 }), (names) => {
      for (const name of names) {
        for (const written of [name, name.toUpperCase(), name.toLowerCase()])
          expect(lowerCaseName(...inside(Buffer.from(written)))).toBe(name.toLowerCase());
      }
    }),
  );
});
