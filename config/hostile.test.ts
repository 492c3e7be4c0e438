import { expect, test } from "bun:test";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readDocument } from "./document.ts";
import type { Problem } from "./problem.ts";
import { filesIn } from "./testing/check.ts";
import { registryOf, standIn, standIns } from "./testing/stand-ins.ts";
import { validateDocument } from "./validate.ts";
import { maskedConfig } from "./masked.ts";

/*
 * Whatever stands in a file, there is a Config or there are problems with places in that file, and never a crash.
 */

const FOLDERS = ["examples", "broken"].map((name) => join(import.meta.dir, name));
const SEEDS = FOLDERS.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => readFileSync(join(folder, name), "utf8").replaceAll(/^# expect: .*\n/gm, "")),
);
const shout = standIn("shout", z.strictObject({ header: z.string(), word: z.string().min(1) }));
const registry = registryOf([...standIns, shout]);

/** Pieces that mean something to YAML, to the interpolation or to the format. */
const PIECES = [
  ..."\n \t:-?,[]{}#&*!|>'\"%@`~$\\/0",
  "  ",
  ": ",
  "- ",
  "${",
  "}",
  "${X:-",
  "${file:",
  "$${",
  "<<: ",
  "*a",
  "&a ",
  "? ",
  "---\n",
  "...\n",
  "!!str ",
  "!!binary ",
  "null",
  "true",
  "0x1f",
  "1e999",
  "-0",
  ".nan",
  "version: 1\n",
  "use: ",
  "pipeline: ",
  "include: [main.yaml]\n",
  "__proto__: ",
  "constructor: ",
  "routes:\n",
  "\u0000",
  "\ud800",
  "\ufeff",
  "\u2028",
  "é",
];

const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.oneof(fc.constant(0), fc.nat({ max: 40 })),
  insert: fc.oneof(fc.constant(""), fc.constantFrom(...PIECES), fc.string({ maxLength: 5 })),
});

function mutated(seed: string, edits: readonly { at: number; remove: number; insert: string }[]): string {
  let text = seed;
  for (const { at, remove, insert } of edits) {
    const index = Math.floor(at * text.length);
    text = text.slice(0, index) + insert + text.slice(index + remove);
  }
  return text;
}

async function outcomeOf(text: string): Promise<readonly Problem[]> {
  await using directory = await filesIn({ "main.yaml": text });
  const document = await readDocument(join(directory.path, "main.yaml"), { HOME: "/root" });
  const outcome = validateDocument(document, registry);
  if ("config" in outcome) JSON.stringify(maskedConfig(outcome.config));
  else expect(outcome.problems.length).toBeGreaterThan(0);
  return "config" in outcome ? outcome.warnings : outcome.problems;
}

function expectPlaces(problems: readonly Problem[], text: string): void {
  const lines = text.split(/\r\n|\n|\r/);
  for (const { place, message } of problems) {
    expect(place.line).toBeWithin(1, lines.length + 2);
    expect(place.column).toBeGreaterThan(0);
    expect(message).not.toBe("");
  }
}

test("a configuration with slips in it", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...SEEDS),
      fc.array(edit, { minLength: 1, maxLength: 4 }),
      async (seed, edits) => {
        const text = mutated(seed, edits);
        expectPlaces(await outcomeOf(text), text);
      },
    ),
    { numRuns: 400 },
  );
}, 60_000);

test("any values under the keys of the format", async () => {
  const words = [
    "version",
    "listeners",
    "address",
    "tls",
    "upstreams",
    "targets",
    "url",
    "weight",
    "pipelines",
    "routes",
    "match",
    "path",
    "header",
    "upstream",
    "respond",
    "redirect",
    "pipeline",
    "use",
    "when",
    "not",
    "headers",
    "request",
    "set",
    "admin",
    "log",
    "plugins",
    "include",
    "a",
  ];
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(
        null,
        true,
        0,
        -1,
        1.5,
        "",
        "a",
        "/a",
        "/*",
        "5s",
        "127.0.0.1:1",
        "http://a",
        "${X:-a}",
        "${X}",
        "request-id",
        "headers",
      ),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...words), tie("value"), { maxKeys: 5, noNullPrototype: true }),
    ),
  }));
  const top = fc.dictionary(fc.constantFrom(...words), value, { maxKeys: 8, noNullPrototype: true });
  await fc.assert(
    fc.asyncProperty(top, async (data) => {
      // JSON is YAML.
      const text = JSON.stringify(data, null, 1);
      expectPlaces(await outcomeOf(text), text);
    }),
    { numRuns: 400 },
  );
}, 60_000);

test.each([
  ["brackets", "[".repeat(50_000)],
  ["closed brackets", `a: ${"[".repeat(20_000)}${"]".repeat(20_000)}`],
  ["dashes", "- ".repeat(50_000)],
  ["a long key", `${"k".repeat(100_000)}: 1`],
  ["a long value", `version: ${"v".repeat(1_000_000)}`],
  ["many keys", Array.from({ length: 50_000 }, (_, i) => `k${i}: 1`).join("\n")],
  ["many problems", `routes: [${"x, ".repeat(20_000)}x]`],
  ["many interpolations", `shutdown_timeout: "${"${X:-1}".repeat(50_000)}"`],
  ["open interpolations", `shutdown_timeout: "${"${X:-".repeat(50_000)}"`],
  [
    "anchors in a row",
    Array.from({ length: 2_000 }, (_, i) => `k${i}: &a${i} [${i === 0 ? 1 : `*a${i - 1}`}]`).join("\n"),
  ],
])("a file of %s ends in problems, and soon", async (_what, text) => {
  const problems = await outcomeOf(text);
  expect(problems.length).toBeGreaterThan(0);
});
