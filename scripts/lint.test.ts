import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..");

/** The rules that the repository's linter reports for a source, in a project of its own. */
async function reported(source: string): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), "sluice-lint-"));
  try {
    await Bun.write(join(dir, "tsconfig.json"), JSON.stringify({ compilerOptions: { strict: true } }));
    await Bun.write(join(dir, "source.ts"), source);
    const oxlint = join(root, "node_modules/.bin/oxlint");
    const run = Bun.spawn([oxlint, "-c", join(root, ".oxlintrc.json"), "-f", "json", "source.ts"], {
      cwd: dir,
    });
    const { diagnostics } = (await new Response(run.stdout).json()) as { diagnostics: { code: string }[] };
    expect(await run.exited).toBe(diagnostics.length === 0 ? 0 : 1);
    return diagnostics.map(({ code }) => code);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const work = "export async function work(): Promise<number> {\n  return await Promise.resolve(1);\n}\n";

test.each([
  ["a floating promise", `${work}work();\n`, "typescript(no-floating-promises)"],
  ["a promise as a condition", `${work}if (work()) void 0;\n`, "typescript(no-misused-promises)"],
  ["any", "export const x: any = 1;\n", "typescript(no-explicit-any)"],
  ["a default export", "export default 1;\n", "import(no-default-export)"],
  ["reading the clock", "export const now = Date.now();\n", "eslint(no-restricted-properties)"],
])("the linter refuses %s", async (_, source, rule) => {
  expect(await reported(source)).toContain(rule);
});

test("the linter accepts an awaited promise", async () => {
  expect(await reported(`${work}await work();\nexport const one: number = await work();\n`)).toEqual([]);
});
