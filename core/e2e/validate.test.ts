import { beforeAll, describe, expect, test } from "bun:test";
import { basename, dirname, join } from "node:path";
import {
  BROKEN,
  EXAMPLES,
  expectedLines,
  GOOD_EXAMPLES,
  PLANNED_EXAMPLES,
  SUSPICIOUS,
  yamlFilesIn,
} from "../../config/testing/corpus.ts";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { type Ended, runBinary } from "./binary.ts";
import { inParallel } from "./in-parallel.ts";

/* `sluice validate` of the compiled binary: the corpus of config/, its examples, and plugins that do not load. */

const PROCESSES = 3;

const inFolder = (folder: string): string[] => yamlFilesIn(folder).map((name) => join(folder, name));

let outcomes: ReadonlyMap<string, Ended>;
beforeAll(async () => {
  const files = [BROKEN, SUSPICIOUS, EXAMPLES].flatMap(inFolder);
  outcomes = await inParallel(files, PROCESSES, (file) =>
    runBinary(["validate", "-c", basename(file)], dirname(file)),
  );
}, 60_000);

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

test.each(inFolder(BROKEN).map((file) => [basename(file), file]))("%s is refused", (_name, file) => {
  const expected = expectedLines(file);
  expect(expected).not.toEqual([]);
  expect(outcomes.get(file)).toEqual({ code: 1, stdout: "", stderr: text(expected) });
});

test.each(inFolder(SUSPICIOUS).map((file) => [basename(file), file]))("%s is warned of", (name, file) => {
  expect(outcomes.get(file)).toEqual({
    code: 0,
    stdout: expect.stringMatching(new RegExp(`^${RegExp.escape(name)}: valid \\(1 listener, .*\\)\n$`)),
    stderr: text(expectedLines(file)),
  });
});

test("the good examples are valid", () => {
  const said = GOOD_EXAMPLES.map((name) => outcomes.get(join(EXAMPLES, name)));
  expect(said).toEqual([
    { code: 0, stdout: "proxy.yaml: valid (1 listener, 4 routes, 3 upstreams)\n", stderr: "" },
    { code: 0, stdout: "behind-haproxy.yaml: valid (1 listener, 2 routes, 2 upstreams)\n", stderr: "" },
    { code: 0, stdout: "plugin.yaml: valid (1 listener, 1 route, 1 upstream)\n", stderr: "" },
    { code: 0, stdout: "upstreams.yaml: valid (1 listener, 4 routes, 4 upstreams)\n", stderr: "" },
  ]);
});

test.each(PLANNED_EXAMPLES)("%s is refused for nothing but what is not available", (name) => {
  const { code, stderr } = outcomes.get(join(EXAMPLES, name))!;
  expect(code).toBe(1);
  for (const line of stderr.trimEnd().split("\n"))
    expect(line).toMatch(
      new RegExp(`^${RegExp.escape(name)}:\\d+:\\d+: \\S+: .*is not available in this version`),
    );
});

test("`run` says the same as `validate`, and nothing listens", async () => {
  const run = await runBinary(["run", "-c", "many-errors.yaml"], BROKEN);
  expect(run).toEqual(outcomes.get(join(BROKEN, "many-errors.yaml"))!);
  expect(run.stderr.split("\n").length).toBeGreaterThan(5);
});

test("a file that is not there, by its default name and by another", async () => {
  using dir = temporaryDir();
  const missing = (name: string): Ended => ({
    code: 1,
    stdout: "",
    stderr: `${name}:1:1: the file cannot be read: no such file\n`,
  });
  expect(await runBinary(["validate"], dir.path)).toEqual(missing("sluice.yaml"));
  expect(await runBinary(["validate", "--config=other.yaml"], dir.path)).toEqual(missing("other.yaml"));
  expect(await runBinary(["run"], dir.path)).toEqual(missing("sluice.yaml"));
});

describe("a plugin's file that does not load", () => {
  const HEAD = `import { definePlugin } from "sluice/plugin";\nimport { z } from "zod";\n`;
  const definition = (facts: string): string =>
    `${HEAD}export default definePlugin({ ${facts} schema: z.strictObject({}), setup: () => ({ handle: (c, next) => next() }) });\n`;
  const NOT_MADE = "was not made by definePlugin()";

  // DIR stands for the configuration's directory.
  test.each<[string, string | undefined, string]>([
    ["there is none", undefined, `cannot load "./bad.ts": no such file`],
    [
      "another default export",
      "export default { name: 'x' };",
      `DIR/bad.ts: its default export (an object) ${NOT_MADE}`,
    ],
    [
      "no default export",
      "export const a = 1;",
      "DIR/bad.ts: has no default export; export what definePlugin() answers",
    ],
    [
      "an unknown apiVersion",
      definition('apiVersion: 9, name: "bad", description: "",'),
      "DIR/bad.ts: needs plugin API 9, this gateway speaks 1",
    ],
    [
      "a syntax error",
      `${HEAD}\nexport default definePlugin({\n  apiVersion: = 1,\n});\n`,
      "DIR/bad.ts:5:15: Unexpected =",
    ],
    [
      "a package that is not installed",
      `${HEAD}import { pad } from "no-such-package";\n${definition("").slice(HEAD.length)}console.log(pad);\n`,
      'DIR/bad.ts:3:21: Could not resolve: "no-such-package"',
    ],
    [
      "a file of its own that is not there",
      `${HEAD}import { help } from "./lib/help.ts";\nexport default help;\n`,
      'DIR/bad.ts:3:22: Could not resolve: "./lib/help.ts"',
    ],
    [
      "a throw at its top level",
      `${HEAD}const options: { a: string } = JSON.parse("{}");\noptions.a.trim();\nexport default 1;\n`,
      "DIR/bad.ts:4:9: its evaluation failed: TypeError: undefined is not an object (evaluating 'options.a.trim')",
    ],
  ])("%s", async (_what, source, message) => {
    using dir = temporaryDir({
      "sluice.yaml": `version: 1
listeners: [{ address: "127.0.0.1:0" }]
plugins: { bad: ./bad.ts }
upstreams: { http: { targets: ["http://127.0.0.1:1"] } }
routes: [{ match: { path: /* }, pipeline: [bad], upstream: http }]
`,
      ...(source === undefined ? {} : { "bad.ts": source }),
    });
    for (const command of ["validate", "run"]) {
      const { code, stdout, stderr } = await runBinary([command], dir.path);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toStartWith(`sluice.yaml:3:17: plugins.bad: ${message.replaceAll("DIR", dir.path)}`);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    }
  });

  test("what it leaves behind at its top level is told of, and ends nothing", async () => {
    using dir = temporaryDir({
      "sluice.yaml": `version: 1
listeners: [{ address: "127.0.0.1:0" }]
plugins: { stray: ./stray.ts }
routes: [{ pipeline: [stray], respond: { status: 204 } }]
`,
      "stray.ts": `${HEAD}void Promise.reject(new Error("left behind"));\n${definition('apiVersion: 1, name: "stray", description: "",').slice(HEAD.length)}`,
    });
    const { code, stdout, stderr } = await runBinary(["validate"], dir.path);
    expect([code, stdout]).toEqual([0, "sluice.yaml: valid (1 listener, 1 route, 0 upstreams)\n"]);
    expect(stderr).toStartWith(
      "sluice: plugin stray: a failure that nobody waited for: Error: left behind\n",
    );
    expect(stderr).toContain(`${dir.path}/stray.ts:3:`);
  });
});

describe("a plugin that refuses to be set up is refused by `validate`, as by `run`", () => {
  test.each([
    ["a ConfigError", 'throw new ConfigError("no such word", ["word"]);', ".word", ":4:52", "no such word"],
    ["any other error", 'throw new Error("no");', "", ":4:25", "no"],
    ["an answer without a handler", "return {};", "", ":4:25", "its setup answered no handle function"],
  ])("%s", async (_what, setup, path, position, message) => {
    using dir = temporaryDir({
      "sluice.yaml": `version: 1
listeners: [{ address: "127.0.0.1:0" }]
plugins: { picky: ./picky.ts }
routes: [{ pipeline: [{ picky: { options: 1, word: x } }], respond: { status: 204 } }]
`,
      "picky.ts": `import { ConfigError, definePlugin } from "sluice/plugin";
import { z } from "zod";
export default definePlugin({
  apiVersion: 1, name: "picky", description: "",
  schema: z.strictObject({ options: z.number(), word: z.string() }),
  setup() { ${setup} },
});
void ConfigError;
`,
    });
    for (const command of ["validate", "run"])
      expect(await runBinary([command], dir.path)).toEqual({
        ...{ code: 1, stdout: "" },
        stderr: `sluice.yaml${position}: routes[0][0].picky${path}: plugin "picky" refuses its configuration: ${message}\n`,
      });
  });
});
