import { expect, test } from "bun:test";
import { join } from "node:path";
import { checkImports, type Manifest, readManifest, readSources, specifiersOf } from "./check-imports.ts";

const manifest: Manifest = {
  dependencies: { hono: "1", yaml: "1", pino: "1", "prom-client": "1", "ipaddr.js": "1", cockatiel: "1" },
  devDependencies: { "@grpc/grpc-js": "1" },
};

/** The rules that one import in one file breaks. */
function rulesBroken(file: string, specifier: string): string[] {
  const source = `import { x } from ${JSON.stringify(specifier)};\nx();\n`;
  return checkImports(new Map([[file, source]]), manifest).map(({ rule }) => rule);
}

const broken: [file: string, specifier: string, rule: string][] = [
  ["core/plugin/body.ts", "../pipeline/path.ts", "core/plugin imports nothing of ours"],
  ["core/plugin/body.ts", "../../config/types.ts", "core/plugin imports nothing of ours"],
  ["plugins/cors/plugin.ts", "../../core/plugin/index.ts", "a plugin imports only sluice/plugin"],
  ["plugins/cors/plugin.ts", "../../core/plugin/headers.ts", "a plugin imports only sluice/plugin"],
  ["plugins/cors/plugin.ts", "../headers/plugin.ts", "a plugin imports only sluice/plugin"],
  ["plugins/cors/lib/vary.ts", "../../shared.ts", "a plugin imports only sluice/plugin"],
  ["plugins/cors/plugin.test.ts", "../../core/pipeline/compose.ts", "a plugin imports only sluice/plugin"],
  ["plugins/cors/plugin.ts", "sluice/testing", "only tests import sluice/testing"],
  ["core/forward/forward.ts", "sluice/testing", "only tests import sluice/testing"],
  ["config/schema.ts", "../core/pipeline/path.ts", "config imports nothing of core but sluice/plugin"],
  ["config/schema.test.ts", "../core/plugin/define.ts", "config imports nothing of core but sluice/plugin"],
  ["config/schema.ts", "../plugins/cors/plugin.ts", "no plugin is known by name outside of plugins/"],
  ["core/cli/run.ts", "../../plugins/index.ts", "only core/main.ts imports plugins/index.ts"],
  ["core/main.test.ts", "../plugins/index.ts", "only core/main.ts imports plugins/index.ts"],
  ["core/main.ts", "../plugins/cors/plugin.ts", "no plugin is known by name outside of plugins/"],
  ["core/pipeline/path.ts", "../plugin/errors.ts", "the plugin contract is imported as sluice/plugin"],
  ["core/cli/run.ts", "../../scripts/sbom.ts", "scripts/ is imported by tests and tools only"],
  ["core/cli/run.ts", "../e2e/binary.ts", "core/e2e/ is imported by tests and tools only"],
  ["core/cli/run.ts", "../../bench/load.ts", "bench/ is imported by tests and tools only"],
  ["core/cli/run.ts", "./run.test.ts", "only tests import tests and their helpers"],
  ["core/cli/run.ts", "./test-harness.ts", "only tests import tests and their helpers"],
  ["core/cli/run.ts", "yaml", "yaml is imported in config/ only"],
  ["core/http1/server.ts", "pino", "pino is imported in core/services/ only"],
  ["core/admin/app.ts", "prom-client", "prom-client is imported in core/services/ only"],
  ["core/forward/forward.ts", "ipaddr.js", "ipaddr.js is imported in config/, core/net/ only"],
  ["core/listener/http2.ts", "node:http2", "node:http2 is imported in core/testing/"],
  ["core/forward/forward.ts", "node:http", "node:http is imported in core/testing/ only"],
  ["core/forward/forward.ts", "cockatiel", "cockatiel is imported in core/policies/, plugins/ only"],
  ["core/forward/forward.ts", "@grpc/grpc-js", "@grpc/grpc-js is a devDependency"],
  ["core/forward/forward.ts", "express", "express is not in package.json"],
  ["core/forward/forward.test.ts", "@scope/none/sub", "@scope/none is not in package.json"],
  ["core/forward/forward.ts", "fs", "Node's own modules are imported as node:*"],
];

test.each(broken)("%s may not import %s", (file, specifier, rule) => {
  expect(rulesBroken(file, specifier)).toEqual([expect.stringContaining(rule)]);
});

const allowed: [file: string, specifier: string][] = [
  ["core/plugin/body.ts", "./headers.ts"],
  ["core/http1/request-parser.ts", "../plugin/headers.ts"],
  ["core/main.ts", "../plugins/index.ts"],
  ["plugins/index.ts", "./cors/plugin.ts"],
  ["plugins/cors/plugin.ts", "./origin.ts"],
  ["plugins/cors/plugin.ts", "sluice/plugin"],
  ["plugins/cors/plugin.ts", "hono/cors"],
  ["plugins/cors/plugin.test.ts", "sluice/testing"],
  ["core/plugin-host/host-modules.ts", "sluice/testing"],
  ["plugins/breaker/plugin.ts", "cockatiel"],
  ["config/schema.ts", "yaml"],
  ["config/schema.ts", "sluice/plugin"],
  ["core/pipeline/path.ts", "../../config/types.ts"],
  ["core/version.ts", "../package.json"],
  ["core/forward/forward.test.ts", "node:http2"],
  ["core/forward/forward.test.ts", "@grpc/grpc-js"],
  ["core/forward/forward.test.ts", "./test-harness.ts"],
  ["core/forward/test-harness.ts", "sluice/testing"],
  ["core/testing/index.ts", "./test-services.ts"],
  ["core/e2e/grpc-echo.ts", "@grpc/grpc-js"],
  ["scripts/soak.ts", "../core/e2e/binary.ts"],
  ["core/cli/run.ts", "node:fs"],
  ["core/cli/run.test.ts", "bun:test"],
];

test.each(allowed)("%s may import %s", (file, specifier) => {
  expect(rulesBroken(file, specifier)).toEqual([]);
});

test("every way to name a module is seen, types included", () => {
  const source = `
    import a from "a";
    import { type B, type C } from "b";
    import c, { type D } from "c";
    import type E from "e";
    import type { F } from "f";
    import type * as G from "g";
    import "h";
    export { i } from "i";
    export {
      type J,
      k,
    } from "j";
    export type { K } from "k";
    export * from "l";
    export type Type = string;
    const m = await import("m");
    const n = require("n");
    // import o from "not-code";
    const text = \`import p from "not-code-either";\`;
  `;
  expect(specifiersOf(source).toSorted()).toEqual("abcefghijklmn".split(""));
});

test("a violation says where it stands", () => {
  const source = 'import { a } from "node:fs";\n\nimport { b } from "yaml";\na(b);\n';
  expect(checkImports(new Map([["core/x.ts", source]]), manifest)).toEqual([
    { file: "core/x.ts", line: 3, specifier: "yaml", rule: "yaml is imported in config/ only" },
  ]);
});

test("the repository keeps the rules", async () => {
  const root = join(import.meta.dir, "..");
  const sources = await readSources(root);
  expect(sources.size).toBeGreaterThan(10);
  expect(checkImports(sources, await readManifest(root))).toEqual([]);
});
