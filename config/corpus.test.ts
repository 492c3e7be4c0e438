import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { checkFile } from "./testing/check.ts";
import {
  BROKEN,
  EXAMPLES,
  expectedLines,
  GOOD_EXAMPLES,
  PLANNED_EXAMPLES,
  SUSPICIOUS,
  yamlFilesIn,
} from "./testing/corpus.ts";
import { standIn, standIns } from "./testing/stand-ins.ts";

/* The corpus with stand-ins for the built-in plugins; core/e2e/validate.test.ts shows it to the binary. */

describe("broken configurations", () => {
  test("there are many", () => {
    expect(yamlFilesIn(BROKEN).length).toBeGreaterThan(150);
  });

  test.each(yamlFilesIn(BROKEN))("%s", async (name) => {
    const file = join(BROKEN, name);
    const { config, lines } = await checkFile(file, BROKEN);
    expect(lines).toEqual(expectedLines(file));
    expect(lines).not.toEqual([]);
    expect(config).toBeUndefined();
  });
});

describe("suspicious configurations", () => {
  test.each(yamlFilesIn(SUSPICIOUS))("%s", async (name) => {
    const file = join(SUSPICIOUS, name);
    const { config, lines } = await checkFile(file, SUSPICIOUS);
    expect(lines).toEqual(expectedLines(file));
    expect(lines).not.toEqual([]);
    expect(config).toBeDefined();
  });
});

describe("examples", () => {
  const shout = standIn("shout", z.strictObject({ header: z.string(), word: z.string().min(1) }));
  const plugins = [...standIns, shout];

  test("each is known to be good or planned", () => {
    expect(yamlFilesIn(EXAMPLES).sort()).toEqual([...GOOD_EXAMPLES, ...PLANNED_EXAMPLES].sort());
  });

  test.each(GOOD_EXAMPLES)("%s is valid", async (name) => {
    const { config, lines } = await checkFile(join(EXAMPLES, name), EXAMPLES, { plugins });
    expect(lines).toEqual([]);
    expect(config?.routes.length).toBeGreaterThan(0);
  });

  test.each(PLANNED_EXAMPLES)("%s is refused for nothing but what is not available", async (name) => {
    const { lines } = await checkFile(join(EXAMPLES, name), EXAMPLES, { plugins });
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toContain("is not available in this version");
  });
});
