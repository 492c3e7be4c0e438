import { expect, test } from "bun:test";
import fc from "fast-check";
import { interpolate, InterpolationError, type Sources } from "./interpolate.ts";

const sources: Sources = {
  env: { NAME: "value", EMPTY: "", DOLLAR: "${NAME}", _x1: "under" },
  readFile: (path) =>
    path === "/run/key" ? Promise.resolve("s3cret\n") : Promise.reject(new InterpolationError(`no ${path}`)),
};

test.each([
  ["${NAME}", "value"],
  ["a${NAME}b${_x1}", "avaluebunder"],
  ["${EMPTY}", ""],
  ["${EMPTY:-other}", "other"],
  ["${MISSING:-}", ""],
  ["${MISSING:-a b: c}", "a b: c"],
  ["${MISSING:-${NAME}!}", "value!"],
  ["${MISSING:-${OTHER:-deep}}", "deep"],
  ["${NAME:-${OTHER}}", "value"],
  ["${file:/run/key}", "s3cret"],
  ["Bearer ${file:/run/${MISSING:-key}}", "Bearer s3cret"],
  ["$${NAME}", "${NAME}"],
  ["$$${NAME}", "$${NAME}"],
  ["$NAME $ {NAME} }", "$NAME $ {NAME} }"],
  // What comes from outside is not read again.
  ["${DOLLAR}", "${NAME}"],
])("%p → %p", async (text, expected) => {
  expect((await interpolate(text, sources)).value).toBe(expected);
});

test.each([
  ["${MISSING}", "the environment variable MISSING is not set and has no default"],
  ["${constructor}", "the environment variable constructor is not set and has no default"],
  ["${file:/nowhere}", "no /nowhere"],
  ["${", "no variable's name"],
  ["${}", "no variable's name"],
  ["${1A}", "no variable's name"],
  ["${NAME", "is never closed"],
  ["${NAME:-a", "is never closed"],
  ["${NAME:?a}", "is followed by } or by :-"],
  ["${NAME-a}", "is followed by } or by :-"],
  ["${file:}", "names no file"],
  ["${A:-".repeat(20) + "}".repeat(20), "nested too deeply"],
])("%p is refused", async (text, message) => {
  expect(interpolate(text, sources)).rejects.toThrow(message);
});

test("expressions are told without their defaults", async () => {
  const { expressions, fromFile } = await interpolate("${A:-secret}${NAME}${NAME}${file:/run/key}", sources);
  expect(expressions).toEqual(["${A}", "${NAME}", "${file:/run/key}"]);
  expect(fromFile).toBe(true);
});

test("a value that grows too long is refused", async () => {
  const long = { ...sources, env: { BIG: "x".repeat(100_000) } };
  expect(interpolate("${BIG}".repeat(20), long)).rejects.toThrow("longer than");
});

test("a text whose ${ are escaped comes out as it was", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: fc.constantFrom(..."${}:-aN") }), async (text) => {
      // A dollar in front of "${" would be read as the escape's own.
      fc.pre(!text.includes("$${"));
      expect((await interpolate(text.split("${").join("$${"), sources)).value).toBe(text);
    }),
  );
});

test("any value of a variable comes out as it is", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.string({ unit: fc.constantFrom(..."ab -") }), async (value, around) => {
      const { value: result } = await interpolate(`${around}\${V}${around}`, {
        ...sources,
        env: { V: value },
      });
      expect(result).toBe(around + value + around);
    }),
  );
});

test("any other text is interpolated or refused in our words", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: fc.constantFrom(..."$${}:-NAMEfile/x") }), async (text) => {
      try {
        expect(typeof (await interpolate(text, sources)).value).toBe("string");
      } catch (error) {
        expect(error).toBeInstanceOf(InterpolationError);
      }
    }),
  );
});
