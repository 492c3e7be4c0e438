import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { check } from "./testing/check.ts";
import { standIn } from "./testing/stand-ins.ts";

/** The lines for these options of a plugin with that schema, without their place and the path of the step. */
async function said(schema: z.ZodType, options: string, env: Record<string, string> = {}): Promise<string[]> {
  const yaml = `version: 1\nroutes: [{ pipeline: [{ p: ${options} }], respond: {} }]\n`;
  const { lines } = await check(yaml, { plugins: [standIn("p", schema)], env });
  return lines.map((line) => line.replace(/^main\.yaml:2:\d+: routes\[0\]\.pipeline\[0\]\.p[.:] ?/, ""));
}

const object = (shape: z.core.$ZodLooseShape): z.ZodType => z.strictObject(shape);

describe("a plugin's schema speaks in the operator's words", () => {
  test.each<[string, z.ZodType, string, string[]]>([
    ["text", object({ a: z.string() }), "{ a: [x] }", ["a: expected text, got a list"]],
    [
      "not empty",
      object({ a: z.string().min(1) }),
      "{ a: '' }",
      ['a: expected text that is not empty, got ""'],
    ],
    [
      "length",
      object({ a: z.string().max(2) }),
      "{ a: abc }",
      ['a: expected text of at most 2 characters, got "abc"'],
    ],
    [
      "pattern",
      object({ a: z.string().regex(/^x/) }),
      "{ a: b }",
      ['a: expected text that matches /^x/, got "b"'],
    ],
    ["format", object({ a: z.url() }), "{ a: b }", ['a: expected a URL, got "b"']],
    ["number", object({ a: z.number() }), "{ a: true }", ["a: expected a number, got true"]],
    [
      "whole number",
      object({ a: z.int() }),
      "{ a: 1.5 }",
      ["a: expected a whole number, got the number 1.5"],
    ],
    [
      "bound",
      object({ a: z.number().lt(5) }),
      "{ a: 5.0 }",
      ["a: expected a number below 5, got the number 5.0"],
    ],
    [
      "multiple",
      object({ a: z.number().multipleOf(2) }),
      "{ a: 3 }",
      ["a: expected a multiple of 2, got the number 3"],
    ],
    ["truth", object({ a: z.boolean() }), "{ a: yes }", ['a: expected true or false, got "yes"']],
    [
      "enum",
      object({ a: z.enum(["fast", "slow"]) }),
      "{ a: fats }",
      ['a: expected one of "fast", "slow", got "fats" (did you mean "fast"?)'],
    ],
    ["missing", object({ a: z.array(z.string()) }), "{}", ["a: is missing, expected a list"]],
    [
      "list length",
      object({ a: z.array(z.string()).min(2) }),
      "{ a: [x] }",
      ["a: expected a list of at least 2 items, got a list"],
    ],
    [
      "map value",
      object({ a: z.record(z.string(), z.number()) }),
      "{ a: { 'b c': x } }",
      ['a["b c"]: expected a number, got "x"'],
    ],
    [
      "map key",
      object({ a: z.record(z.enum(["x"]), z.number()) }),
      "{ a: { x: 1, y: 1 } }",
      ['a.y: unknown key "y"'],
    ],
    ["own message", object({ a: z.string("give a name") }), "{ a: 5 }", ["a: give a name"]],
    ["refinement", object({ a: z.string().refine(() => false, "is taken") }), "{ a: b }", ["a: is taken"]],
    [
      "refinement without words",
      object({ a: z.string().refine(() => false) }),
      "{ a: b }",
      ['a: "b" is not valid'],
    ],
    [
      "one or many",
      object({ a: z.union([z.string(), z.array(z.string())]) }),
      "{ a: [x, 5] }",
      ['a[1]: expected text, got the number 5 (did you mean "5"?)'],
    ],
    [
      "one or many, neither",
      object({ a: z.union([z.string(), z.array(z.string())]) }),
      "{ a: { b: 1 } }",
      ["a: expected text or a list, got a mapping"],
    ],
    [
      "a branch by its content",
      object({
        a: z.union([z.strictObject({ x: z.string() }), z.strictObject({ y: z.string(), z: z.number() })]),
      }),
      "{ a: { y: a, z: b } }",
      ['a.z: expected a number, got "b"'],
    ],
    [
      "a branch by its name",
      object({
        a: z.discriminatedUnion("kind", [
          z.strictObject({ kind: z.literal("x"), n: z.number() }),
          z.strictObject({ kind: z.literal("y") }),
        ]),
      }),
      "{ a: { kind: x, n: b, m: 1 } }",
      ['a.n: expected a number, got "b"', 'a.m: unknown key "m", expected one of "kind", "n"'],
    ],
    [
      "no branch of that name",
      object({
        a: z.discriminatedUnion("kind", [
          z.strictObject({ kind: z.literal("xx") }),
          z.strictObject({ kind: z.literal("yy") }),
        ]),
      }),
      "{ a: { kind: xy } }",
      ['a.kind: expected one of "xx", "yy", got "xy" (did you mean "xx"?)'],
    ],
  ])("%s", async (_what, schema, options, lines) => {
    expect(await said(schema, options)).toEqual(lines);
  });

  test("everything wrong is told at once, by place", async () => {
    const schema = object({ a: z.number(), b: z.string(), c: object({ d: z.boolean() }) });
    expect(await said(schema, "{ c: { e: 1 }, a: x }")).toEqual([
      "b: is missing, expected text",
      "c.d: is missing, expected true or false",
      'c.e: unknown key "e", expected "d"',
      'a: expected a number, got "x"',
    ]);
  });

  test("a schema that throws, or that waits, is an error and no crash", async () => {
    const throwing = z.string().transform(() => {
      throw new TypeError("cannot do that");
    });
    const waiting = z.string().refine(() => Promise.resolve(true));
    expect(await said(object({ a: throwing }), "{ a: b }")).toEqual([
      "the check of these options failed: cannot do that",
    ]);
    expect(await said(object({ a: waiting }), "{ a: b }")).toEqual([
      "the check of these options failed: its schema waits for something, which the check of a configuration does not do",
    ]);
  });
});

describe("secrets do not show", () => {
  const secret = "hunter2-and-more";

  test.each<[string, z.ZodType, string]>([
    ["a wrong type", object({ a: z.number() }), '{ a: "${S}" }'],
    ["an enum", object({ a: z.enum(["one", "another"]) }), '{ a: "${S}" }'],
    [
      "the plugin's own words",
      object({
        a: z.string().superRefine((v, c) => {
          c.addIssue(`bad ${v}!`);
        }),
      }),
      '{ a: "x${S}" }',
    ],
    [
      "words about the whole",
      object({ a: z.string() }).superRefine((v, c) => {
        c.addIssue(`bad ${JSON.stringify(v)}!`);
      }),
      '{ a: "${S}" }',
    ],
    [
      "what it throws",
      object({ a: z.string() }).transform((v) => {
        throw new Error(`bad ${JSON.stringify(v)}`);
      }),
      '{ a: "${S}" }',
    ],
    ["a secret's key", object({ api_key: z.number() }), `{ api_key: ${secret} }`],
    ["below a secret's key", object({ keys: z.array(z.number()) }), `{ keys: [${secret}] }`],
    ["a URL", object({ url: z.number() }), `{ url: "redis://me:${secret}@host" }`],
  ])("%s", async (_what, schema, options) => {
    const lines = await said(schema, options, { S: secret });
    expect(lines.length).toBe(1);
    expect(lines[0]).not.toContain("hunter2");
  });
});
