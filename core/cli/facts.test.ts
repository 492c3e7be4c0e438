import { expect, test } from "bun:test";
import { version as packageVersion } from "../../package.json";
import { EXIT } from "./command.ts";
import { PLAIN, said } from "./test-terminal.ts";

/* The commands that print what the binary is: version, plugins, schema. */

const SAMPLE_TEXT = `sample: Shows its options.
    word         A word. (string, required)
    mode         How. ("fast" | "slow", default "fast")
    limits       Bounds. (map)
    limits.size  How many. (number)
    names        Who. (list of string, default [])
    off          A word or nothing. (string | false, default false)`;

test("version", async () => {
  const { code, out, err } = await said(["version"]);
  expect([code, err]).toEqual([EXIT.ok, ""]);
  expect(out).toBe(
    `sluice ${packageVersion} (unknown, bun ${Bun.version}, ${process.platform} ${process.arch})`,
  );
});

test("version --json", async () => {
  expect(JSON.parse((await said(["version", "--json"])).out)).toEqual({
    version: packageVersion,
    commit: "unknown",
    commit_date: "unknown",
    runtime: `bun ${Bun.version}`,
    platform: `${process.platform} ${process.arch}`,
  });
});

test("plugins lists every built-in with its options", async () => {
  expect(await said(["plugins"])).toEqual({
    code: EXIT.ok,
    out: `${SAMPLE_TEXT}\n\nplain: Has no options.`,
    err: "",
  });
});

test("plugins NAME shows one", async () => {
  expect(await said(["plugins", "sample"])).toEqual({ code: EXIT.ok, out: SAMPLE_TEXT, err: "" });
});

test("plugins --json", async () => {
  const { out } = await said(["plugins", "sample", "--json"]);
  expect(JSON.parse(out)).toEqual([
    {
      name: "sample",
      description: "Shows its options.",
      apiVersion: 1,
      options: [
        { name: "word", type: "string", required: true, description: "A word." },
        { name: "mode", type: '"fast" | "slow"', required: false, default: "fast", description: "How." },
        { name: "limits", type: "map", required: false, description: "Bounds." },
        { name: "limits.size", type: "number", required: false, description: "How many." },
        { name: "names", type: "list of string", required: false, default: [], description: "Who." },
        {
          name: "off",
          type: "string | false",
          required: false,
          default: false,
          description: "A word or nothing.",
        },
      ],
    },
  ]);
});

test.each([
  ["sampel", ' (did you mean "sample"?)'],
  ["nonsense", ""],
])("plugins of a name that there is not: %s", async (name, hint) => {
  expect(await said(["plugins", name])).toEqual({
    code: EXIT.failed,
    out: "",
    err: `sluice: there is no built-in plugin "${name}"${hint}`,
  });
});

test("a binary without built-ins lists none", async () => {
  expect(await said(["plugins"], { builtins: [] })).toEqual({ code: EXIT.ok, out: "", err: "" });
});

test("schema is JSON and knows the plugins", async () => {
  const { code, out } = await said(["schema"], { builtins: [PLAIN] });
  expect(code).toBe(EXIT.ok);
  expect(JSON.parse(out)).toMatchObject({ $schema: "https://json-schema.org/draft/2020-12/schema" });
  expect(out).toContain("Has no options.");
});
