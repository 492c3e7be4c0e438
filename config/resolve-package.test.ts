import { expect, test } from "bun:test";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { resolvePackage } from "./resolve-package.ts";
import { filesIn } from "./testing/check.ts";

const PACKAGES: Record<string, object | string> = {
  "plain/index.js": "",
  "main/package.json": { main: "lib/start" },
  "main/lib/start.js": "",
  "main/other.ts": "",
  "@scope/exports/package.json": {
    main: "./never.js",
    exports: {
      ".": {
        types: "./a.d.ts",
        browser: "./b.js",
        node: { import: "./esm.mjs", require: "./cjs.cjs" },
        default: "./d.js",
      },
      "./sub": ["not-a-path", "./sub.js"],
      "./deep/*": "./lib/*.js",
      "./deep/hidden/*": null,
      "./out": "./../main/other.ts",
    },
  },
  "@scope/exports/esm.mjs": "",
  "@scope/exports/sub.js": "",
  "@scope/exports/never.js": "",
  "@scope/exports/lib/x/y.js": "",
  "@scope/exports/lib/hidden/z.js": "",
  "sugar/package.json": { exports: { require: "./c.cjs", default: "./e.js" } },
  "sugar/e.js": "",
  "broken/package.json": "{",
  "broken/index.ts": "",
  "empty/package.json": { exports: {} },
};

async function installed() {
  const directory = await filesIn({});
  for (const [name, content] of Object.entries(PACKAGES)) {
    const file = join(directory.path, "node_modules", name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  }
  await mkdir(join(directory.path, "etc/sluice"), { recursive: true });
  return directory;
}

test.each([
  ["plain", "plain/index.js"],
  ["main", "main/lib/start.js"],
  ["main/other", "main/other.ts"],
  ["@scope/exports", "@scope/exports/esm.mjs"],
  ["@scope/exports/sub", "@scope/exports/sub.js"],
  ["@scope/exports/deep/x/y", "@scope/exports/lib/x/y.js"],
  ["@scope/exports/deep/hidden/z", undefined],
  ["@scope/exports/never.js", undefined],
  ["@scope/exports/out", undefined],
  ["sugar", "sugar/e.js"],
  ["broken", "broken/index.ts"],
  ["empty", undefined],
  ["missing", undefined],
  ["../main", undefined],
  ["fs", undefined],
])("%s is %p", async (name, file) => {
  await using directory = await installed();
  const modules = join(directory.path, "node_modules");
  const found = resolvePackage(name, join(directory.path, "etc/sluice"));
  expect(found).toBe(file === undefined ? undefined : join(modules, file));
});

test("a linked package is found where it lies, and the nearest one counts", async () => {
  await using directory = await installed();
  const near = join(directory.path, "etc/node_modules");
  await mkdir(near);
  await symlink(join(directory.path, "node_modules/sugar"), join(near, "plain"));
  expect(resolvePackage("plain", join(directory.path, "etc/sluice"))).toBe(
    join(directory.path, "node_modules/sugar/e.js"),
  );
});
