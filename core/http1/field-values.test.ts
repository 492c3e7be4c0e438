import { expect, test } from "bun:test";
import fc from "fast-check";
import { connectionOptions, isProtocols, listOf, OPTION } from "./field-values.ts";

test("a list is split at its commas and freed of spaces and tabs alone", () => {
  expect(listOf(" a\t,b ,, c d ")).toEqual(["a", "b", "", "c d"]);
  expect(listOf("\u00a0a")).toEqual(["\u00a0a"]);
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]([a-z ]*[a-z])?$/)),
      fc.stringMatching(/^[ \t]*$/),
      (items, space) => {
        const text = items.map((item) => space + item + space).join(",");
        expect(listOf(text)).toEqual(items.length === 0 ? [""] : items);
      },
    ),
  );
});

test.each([
  ["close", OPTION.close],
  ["Keep-Alive", OPTION.keepAlive],
  [" x ,\tUpgrade , close", OPTION.upgrade | OPTION.close],
  ["closed, keep alive", 0],
])("Connection: %p", (value, options) => {
  expect(connectionOptions(value)).toBe(options);
});

// With quadratic work, these take hours.
test.each([[`a${" ".repeat(4_000_000)}b`], [`${"\t ".repeat(2_000_000)},`], [",".repeat(1_000_000)]])(
  "a value that is all white space and commas takes linear time",
  (value) => {
    expect(connectionOptions(value)).toBe(0);
    expect(isProtocols(value)).toBeFalse();
  },
);
