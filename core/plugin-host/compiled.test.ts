import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOST_MODULE_NAMES } from "./host-modules.ts";

/** Outside of the repository: no node_modules above it. */
const folder = mkdtempSync(join(tmpdir(), "sluice-compiled-"));
const binary = join(folder, "host");

beforeAll(async () => {
  // As scripts/build does it. `--bytecode` is left out: it costs seconds and changes nothing of what is tested.
  const built = Bun.spawn(
    [
      process.execPath,
      "build",
      "--compile",
      "--minify",
      "--format=esm",
      join(import.meta.dir, "compiled.child.ts"),
      "--outfile",
      binary,
    ],
    { stdout: "ignore", stderr: "inherit" },
  );
  expect(await built.exited).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(...args: string[]): Promise<Record<string, unknown>> {
  const child = Bun.spawn([binary, ...args], { cwd: folder, stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return JSON.parse(text) as Record<string, unknown>;
}

test("the compiled binary gives a plugin every host module, where no package is installed", async () => {
  const imports = [...HOST_MODULE_NAMES].map((name, i) => `import * as m${i} from ${JSON.stringify(name)};`);
  const list = imports.map((_, i) => `m${i}`).join();
  writeFileSync(
    join(folder, "all.ts"),
    `${imports.join("\n")}
import { definePlugin } from "sluice/plugin";
import { z } from "zod";
import { word } from "./beside.ts";
export default definePlugin({
  apiVersion: 1, name: "all", schema: z.strictObject({}),
  description: [${list}].filter((m) => typeof m === "object").length + word,
  setup: () => ({ handle: (c, next) => next() }),
});`,
  );
  writeFileSync(join(folder, "beside.ts"), `export const word: string = " modules";`);
  expect(await run("./all.ts")).toEqual({
    description: `${HOST_MODULE_NAMES.size} modules`,
    sharesZod: true,
  });
});

test("a changed file's older versions are freed", async () => {
  const { alive } = (await run("./changing.ts", "300")) as { alive: number };
  // The collector is conservative: a stray word on a stack may hold one or two.
  expect(alive).toBeLessThan(10);
});
