import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AnyPlugin, isPluginDefinition } from "sluice/plugin";
import { z } from "zod";
import { formatProblem, readDocument, validateDocument } from "../config/index.ts";

/*
 * What holds for every built-in plugin: it is on the list, and its README tells its options as they are and has an
 * example that the gateway accepts.
 */

const PLUGINS = join(import.meta.dir, "../plugins");

const folders = [...new Bun.Glob("*/plugin.ts").scanSync(PLUGINS)].map((path) => path.split("/")[0]!).sort();
const plugins = new Map<string, AnyPlugin>();

beforeAll(async () => {
  for (const folder of folders) {
    const module = (await import(join(PLUGINS, folder, "plugin.ts"))) as { default: AnyPlugin };
    plugins.set(folder, module.default);
  }
});

const readme = (folder: string): string => readFileSync(join(PLUGINS, folder, "README.md"), "utf8");

test("index.ts lists every folder's plugin", async () => {
  const index: unknown = await import(join(PLUGINS, "index.ts"));
  const { BUILT_IN_PLUGINS } = index as { BUILT_IN_PLUGINS: readonly AnyPlugin[] };
  expect(BUILT_IN_PLUGINS.map((plugin) => plugin.name).sort()).toEqual(folders);
  expect([...BUILT_IN_PLUGINS].sort(byName)).toEqual([...plugins.values()].sort(byName));
});

describe.each(folders)("%s", (folder) => {
  test("is a plugin by its folder's name, with a description of every option", () => {
    const plugin = plugins.get(folder);
    expect(isPluginDefinition(plugin)).toBe(true);
    expect(plugin?.name).toBe(folder);
    expect(plugin?.description).toEndWith(".");
    for (const option of optionsOf(plugin!.schema))
      expect(option).toMatchObject({ description: expect.stringMatching(/\.$/) });
  });

  test("has a README whose table tells its options and their defaults", () => {
    const rows = [
      ...readme(folder).matchAll(/^\| `(?<name>[\w.]+)` \| (?:`(?<initial>[^`]*)`|—) \| .+ \|$/gm),
    ];
    const told = rows.map(({ groups }) => ({
      name: groups!["name"]!,
      default: groups!["initial"] === undefined ? undefined : Bun.YAML.parse(groups!["initial"]),
    }));
    expect(told).toEqual(
      optionsOf(plugins.get(folder)!.schema).map(({ name, default: initial }) => ({
        name,
        default: initial,
      })),
    );
  });

  test("has an example that validates without a warning", async () => {
    const example = /```yaml\n(?<text>pipeline:\n[^]*?)```/.exec(readme(folder))?.groups?.["text"] ?? "";
    const directory = mkdtempSync(join(tmpdir(), "sluice-readme-"));
    try {
      const file = join(directory, "sluice.yaml");
      const route = example.replaceAll(/^/gm, "    ");
      writeFileSync(
        file,
        `version: 1
listeners: [{ address: "127.0.0.1:0" }]
upstreams: { http: { targets: ["http://127.0.0.1:9"] } }
routes:
  - match: { path: /* }
    upstream: http
${route}
`,
      );
      const registry = { get: (name: string) => plugins.get(name), names: folders };
      const outcome = validateDocument(await readDocument(file, {}), registry);
      const problems = "problems" in outcome ? outcome.problems : outcome.warnings;
      expect(problems.map((problem) => formatProblem(problem, directory))).toEqual([]);
      expect(example).toContain(folder);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

interface Option {
  readonly name: string;
  readonly default: unknown;
  readonly description: string | undefined;
}

/** A schema's options in their order, those inside others as `outer.inner`. */
function optionsOf(schema: AnyPlugin["schema"]): Option[] {
  return describeOptions(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }), "");
}

function describeOptions(schema: z.core.JSONSchema._JSONSchema, prefix: string): Option[] {
  if (typeof schema === "boolean") return [];
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const facts = typeof property === "boolean" ? {} : property;
    const option = { name: prefix + key, default: facts.default, description: facts.description };
    return [option, ...describeOptions(facts, `${prefix}${key}.`)];
  });
}

function byName(a: AnyPlugin, b: AnyPlugin): number {
  return a.name < b.name ? -1 : 1;
}
