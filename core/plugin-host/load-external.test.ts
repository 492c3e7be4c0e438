import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { API_VERSION } from "sluice/plugin";
import { createTestServices } from "sluice/testing";
import { z } from "zod";
import { loadExternal, PluginLoadError } from "./load-external.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Files in a directory of their own, with no node_modules above it. */
function files(contents: Readonly<Record<string, string>>): (name: string) => string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice plugins ")));
  folders.push(folder);
  const at = (name: string) => join(folder, name);
  for (const [name, content] of Object.entries(contents)) {
    mkdirSync(dirname(at(name)), { recursive: true });
    writeFileSync(at(name), content);
  }
  return at;
}

const HEAD = `import { definePlugin } from "sluice/plugin"; import { z } from "zod";\n`;

/** A plugin whose description is `text`, an expression. */
function plugin(text: string, imports = ""): string {
  return `${HEAD}${imports}
export default definePlugin({
  apiVersion: 1, name: "probe", description: String(${text}), schema: z.strictObject({ a: z.string().optional() }),
  setup: () => ({ handle: (c, next) => next() }),
});`;
}

async function described(path: string): Promise<string> {
  const loaded = await loadExternal(path);
  loaded.release();
  return loaded.definition.description;
}

async function failureOf(path: string): Promise<PluginLoadError> {
  const failure = await loadExternal(path).catch((error: unknown) => error);
  if (!(failure instanceof PluginLoadError)) throw new Error(`no PluginLoadError but ${String(failure)}`);
  expect(failure.file).toBe(path);
  expect(failure.files).toContain(path);
  return failure;
}

describe("a plugin's file", () => {
  test("shares zod, Hono and the contract with the host", async () => {
    const at = files({
      "p.ts": `${HEAD}
import { SluiceError } from "sluice/plugin";
import { createFakeClock } from "sluice/testing";
import z2 from "zod";
import { HTTPException } from "hono/http-exception";
import { etag } from "hono/etag";
import type { Context } from "hono";
export default definePlugin({
  apiVersion: 1, name: "shares", description: "x", schema: z.strictObject({ a: z2.string() }),
  setup: async () => {
    const { poweredBy } = await import("hono/powered-by");
    return { handle: etag(), close() { throw Object.assign(new SluiceError("forbidden", "no"), { HTTPException, poweredBy, createFakeClock }); } };
  },
});`,
    });
    const { definition, release } = await loadExternal(at("p.ts"));
    expect(definition.schema).toBeInstanceOf(z.ZodObject);
    const instance = await definition.setup({}, createTestServices());
    const { SluiceError } = await import("sluice/plugin");
    const { HTTPException } = await import("hono/http-exception");
    const { poweredBy } = await import("hono/powered-by");
    const { createFakeClock } = await import("sluice/testing");
    try {
      await instance.close?.();
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SluiceError);
      expect(error).toMatchObject({ HTTPException, poweredBy, createFakeClock });
    }
    release();
  });

  test("brings the packages that are installed beside it, and none of the host's", async () => {
    const at = files({
      "p.ts": plugin(`pad(7) + zed`, `import pad from "left-pad"; const zed = z.string().parse("!");`),
      "node_modules/left-pad/package.json": `{ "name": "left-pad", "version": "1.0.0", "main": "main.js" }`,
      "node_modules/left-pad/main.js": `const { join } = require("node:path"); module.exports = (s) => join("a", "b") + s;`,
      "node_modules/zod/package.json": `{ "name": "zod", "version": "0.0.1", "main": "main.js" }`,
      "node_modules/zod/main.js": `throw new Error("a second zod")`,
    });
    expect(await described(at("p.ts"))).toBe("a/b7!");
    const failure = await failureOf(files({ "p.ts": plugin("pino", `import pino from "pino";`) })("p.ts"));
    expect(failure.message).toContain('"pino"');
  });

  test("may be JavaScript: ES modules and CommonJS", async () => {
    const at = files({
      "p.mjs": plugin(`"esm"`),
      "p.cjs": `const { definePlugin } = require("sluice/plugin");
module.exports = definePlugin({ apiVersion: 1, name: "cjs", description: "cjs", setup() { return { handle: (c, next) => next() }; } });`,
    });
    expect(await described(at("p.mjs"))).toBe("esm");
    expect(await described(at("p.cjs"))).toBe("cjs");
  });

  test("knows where it lies", async () => {
    const at = files({
      "p.ts": plugin(
        `[import.meta.dir, import.meta.path, import.meta.filename, import.meta.url, __dirname].join("|")`,
      ),
    });
    const path = at("p.ts");
    expect(await described(path)).toBe(
      [dirname(path), path, path, Bun.pathToFileURL(path).href, dirname(path)].join("|"),
    );
  });

  test("imports JSON and text, and the runtime's modules", async () => {
    const at = files({
      "p.ts": plugin(
        `[data.a, text, basename("/x/y"), typeof Database].join()`,
        `import data from "./data.json"; import text from "./text.txt"; import { basename } from "node:path"; import { Database } from "bun:sqlite";`,
      ),
      "data.json": `{ "a": 1 }`,
      "text.txt": "hi",
    });
    expect(await described(at("p.ts"))).toBe("1,hi,y,function");
  });

  test("without a schema takes no options", async () => {
    const at = files({
      "p.js": `import { definePlugin } from "sluice/plugin";
export default definePlugin({ apiVersion: 1, name: "bare", setup: () => ({ handle: (c, next) => next() }) });`,
    });
    const { definition, release } = await loadExternal(at("p.js"));
    expect(definition.schema.safeParse({}).success).toBe(true);
    expect(definition.schema.safeParse({ a: 1 }).success).toBe(false);
    expect(definition.description).toBe("");
    release();
  });
});

describe("changes", () => {
  test("in the file, and in a file that it imports, are seen", async () => {
    const at = files({
      "p.ts": plugin("word", `import { word } from "./lib/word.ts";`),
      "lib/word.ts": `export const word: string = "one";`,
    });
    const first = await loadExternal(at("p.ts"));
    expect(first.definition.description).toBe("one");
    expect([...first.files].sort()).toEqual([at("lib/word.ts"), at("p.ts")]);
    writeFileSync(at("lib/word.ts"), `export const word: string = "two";`);
    const second = await loadExternal(at("p.ts"));
    expect(second.definition.description).toBe("two");
    expect(second.hash).not.toBe(first.hash);
    expect(first.definition.description).toBe("one");
    first.release();
    second.release();
  });

  test("what is unchanged and in use is not evaluated again; what is unused is forgotten", async () => {
    const counter = `globalThis.__evaluations = (globalThis.__evaluations ?? 0) + 1`;
    const at = files({ "p.ts": plugin(counter) });
    const [first, second] = await Promise.all([loadExternal(at("p.ts")), loadExternal(at("p.ts"))]);
    expect(second.definition).toBe(first.definition);
    expect(second.hash).toBe(first.hash);
    first.release();
    first.release();
    const third = await loadExternal(at("p.ts"));
    expect(third.definition).toBe(first.definition);
    second.release();
    third.release();
    const again = await loadExternal(at("p.ts"));
    expect(again.hash).toBe(first.hash);
    expect(again.definition).not.toBe(first.definition);
    expect(again.definition.description).toBe("2");
    again.release();
  });
});

describe("what is wrong is said, with file and place", () => {
  const broken: [what: string, source: string, message: RegExp][] = [
    ["a syntax error", `${HEAD}export default {\n  b: ;\n};`, /^FILE:3:6: Unexpected ;/],
    [
      "an import of a missing file",
      `import "./nope.ts";\nexport default 1;`,
      /^FILE:1:8: Could not resolve: "\.\/nope\.ts"/,
    ],
    ["a module that Hono does not have", `import "hono/nope";`, /^FILE:1:8: Could not resolve: "hono\/nope"/],
    [
      "a misspelt name",
      `import { x } from "./p.ts";\nexport default x;`,
      /^FILE:1:10: No matching export .* "x"/,
    ],
    [
      "no default export",
      `export const a = 1;`,
      /^FILE: has no default export; export what definePlugin\(\) answers$/,
    ],
    [
      "another default export",
      `export default { name: "x" };`,
      /^FILE: its default export \(an object\) was not made by definePlugin\(\)$/,
    ],
    ["a function", `export default () => {};`, /^FILE: its default export \(a function\) was not made/],
    [
      "a later API",
      define(`apiVersion: 2, name: "x", setup() {}`),
      new RegExp(`^FILE: needs plugin API 2, this gateway speaks ${API_VERSION}$`),
    ],
    ["no API version", define(`name: "x", setup() {}`), /^FILE: says no apiVersion; this gateway speaks 1/],
    ["no name", define(`apiVersion: 1, setup() {}`), /^FILE: its definition has no name$/],
    [
      "a name that is no key",
      define(`apiVersion: 1, name: "My Plugin", setup() {}`),
      /^FILE: its name "My Plugin" is not in kebab-case/,
    ],
    [
      "a schema of another kind",
      define(`apiVersion: 1, name: "x", schema: { a: 1 }, setup() {}`),
      /^FILE: its schema \(an object\) is not a zod schema$/,
    ],
    ["no setup", define(`apiVersion: 1, name: "x"`), /^FILE: its setup \(undefined\) is not a function$/],
    [
      "an evaluation that throws",
      `const a: any = null;\n\nexport default a.b;`,
      /^FILE:3:\d+: its evaluation failed: TypeError: null is not an object/,
    ],
    [
      "an error of its own",
      `class Mine extends RangeError { override name = "Mine" }\nthrow new Mine("too far");`,
      /^FILE:2:\d+: its evaluation failed: Mine: too far$/,
    ],
    [
      "an await at the top level",
      `const a = await fetch("http://127.0.0.1:1");\nexport default a;`,
      /^FILE:1:\d+: a plugin's file cannot await at its top level; await in setup, which may be async[^\n]*$/,
    ],
    [
      "a file that is no code",
      `import image from "./x.png";\nexport default image;`,
      /^FILE: imports ".*x.*\.png" as a file; open it in setup/,
    ],
  ];

  test.each(broken)("%s", async (_what, source, message) => {
    const at = files({ "p.ts": source, "x.png": "no image" });
    const failure = await failureOf(at("p.ts"));
    expect(failure.message.replaceAll(at("p.ts"), "FILE")).toMatch(message);
  });

  test("an error in an imported file names that file, and is mended by it", async () => {
    const at = files({
      "p.ts": plugin("word", `import { word } from "./word.ts";`),
      "word.ts": "export const word = ;",
    });
    const failure = await failureOf(at("p.ts"));
    expect(failure.message).toStartWith(`${at("word.ts")}:1:21: `);
    expect(failure.files).toContain(at("word.ts"));
  });

  test("a missing file, and a directory", async () => {
    const at = files({ "folder/x.ts": "" });
    expect((await failureOf(at("gone.ts"))).message).toBe(`${at("gone.ts")}: there is no such file`);
    expect((await failureOf(at("folder"))).message).toBe(
      `${at("folder")}: is not a file; name the plugin's .ts or .js file`,
    );
  });

  test("an empty file", async () => {
    const at = files({ "p.ts": "" });
    expect((await failureOf(at("p.ts"))).message).toBe(
      `${at("p.ts")}: has no default export; export what definePlugin() answers`,
    );
  });
});

function define(fields: string): string {
  return `import { definePlugin } from "sluice/plugin";\nexport default definePlugin({ ${fields} } as never);`;
}
