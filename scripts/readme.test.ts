import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT } from "../core/cli/command.ts";
import { COMMANDS } from "../core/cli/index.ts";
import { loadConfig } from "../core/runtime/load.ts";
import { BUILT_IN_PLUGINS } from "../plugins/index.ts";
import { formatProblem } from "../config/index.ts";
import { errorTable, section } from "./readme.ts";

const root = join(import.meta.dir, "..");
const readme = await Bun.file(join(root, "README.md")).text();

/** The first cells of a section's table, without their quotes. */
const firstCells = (name: string): string[] =>
  Array.from(section(readme, name).matchAll(/^\| `(.+?)` \|/gm), ([, cell]) => cell!);

/** Code blocks of one language. */
const blocks = (language: string): string[] =>
  Array.from(readme.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm")), ([, block]) => block!);

test("the table of errors is the code's", () => {
  expect(section(readme, "errors")).toBe(errorTable());
});

test("the table of commands has every command", () => {
  expect(firstCells("commands")).toEqual(COMMANDS.map(({ name }) => `sluice ${name}`));
});

test("the table of plugins has every built-in", () => {
  expect(firstCells("plugins").toSorted()).toEqual(BUILT_IN_PLUGINS.map(({ name }) => name).toSorted());
});

test("the table of exit codes has every code", () => {
  const codes = Array.from(readme.matchAll(/^\| (\d+) \|/gm), ([, code]) => Number(code));
  expect(codes).toEqual(Object.values(EXIT));
});

test("every file that is linked to is there", () => {
  const links = Array.from(readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g), ([, link]) => link!);
  expect(links.length).toBeGreaterThan(3);
  expect(links.filter((link) => !existsSync(join(root, link)))).toEqual([]);
});

test("every configuration and plugin in it is valid", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-readme-"));
  try {
    await Bun.write(join(dir, "shout.ts"), blocks("ts")[0]!);
    const configs = blocks("yaml");
    expect(configs.length).toBeGreaterThan(3);
    for (const [i, yaml] of configs.entries()) {
      const file = join(dir, `${i}.yaml`);
      await Bun.write(file, yaml);
      const outcome = await loadConfig(file, { SLUICE_ADMIN_TOKEN: "t" }, BUILT_IN_PLUGINS);
      const problems = outcome.ok ? outcome.loaded.warnings : outcome.problems;
      expect(problems.map((problem) => formatProblem(problem, dir))).toEqual([]);
      if (outcome.ok) outcome.loaded.release();
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});
