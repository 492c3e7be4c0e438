import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { checkFile } from "./testing/check.ts";
import { standIn, standIns } from "./testing/stand-ins.ts";

/*
 * Every file in `broken/` begins with the lines that `sluice validate` prints for it, each behind `# expect: `.
 * File names in them are relative to the folder, as when the command runs in it.
 */

const BROKEN = join(import.meta.dir, "broken");
const SUSPICIOUS = join(BROKEN, "suspicious");
const EXAMPLES = join(import.meta.dir, "examples");

function yamlFilesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => join(folder, name));
}

function expectedLines(file: string): string[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("# expect: "))
    .map((line) => line.slice("# expect: ".length));
}

describe("broken configurations", () => {
  const files = yamlFilesIn(BROKEN);

  test("there are many", () => {
    expect(files.length).toBeGreaterThan(150);
  });

  test.each(files.map((file) => [basename(file), file]))("%s", async (_name, file) => {
    const { config, lines } = await checkFile(file, BROKEN);
    expect(lines).toEqual(expectedLines(file));
    expect(lines).not.toEqual([]);
    expect(config).toBeUndefined();
  });
});

describe("suspicious configurations", () => {
  test.each(yamlFilesIn(SUSPICIOUS).map((file) => [basename(file), file]))("%s", async (_name, file) => {
    const { config, lines } = await checkFile(file, SUSPICIOUS);
    expect(lines).toEqual(expectedLines(file));
    expect(lines).not.toEqual([]);
    expect(config).toBeDefined();
  });
});

describe("examples", () => {
  const shout = standIn("shout", z.strictObject({ header: z.string(), word: z.string().min(1) }));
  const plugins = [...standIns, shout];

  test.each(["proxy.yaml", "behind-haproxy.yaml", "plugin.yaml"])("%s is valid", async (name) => {
    const { config, lines } = await checkFile(join(EXAMPLES, name), EXAMPLES, { plugins });
    expect(lines).toEqual([]);
    expect(config?.routes.length).toBeGreaterThan(0);
  });

  test.each(["cache.yaml", "edge.yaml", "inference.yaml", "llm.yaml"])(
    "%s is refused for nothing but what is not available",
    async (name) => {
      const { lines } = await checkFile(join(EXAMPLES, name), EXAMPLES, { plugins });
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(line).toContain("is not available in this version");
    },
  );
});
