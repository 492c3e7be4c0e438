/**
 * Who may import whom. `bun scripts/check-imports.ts` prints every import that breaks a rule and exits 1;
 * scripts/check-imports.test.ts shows each rule at work.
 */
import { isBuiltin } from "node:module";
import { dirname, join, normalize } from "node:path";

export interface Violation {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly specifier: string;
  readonly rule: string;
}

/** The names in package.json that decide which packages there are. */
export interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** Folders whose sources the rules speak of. */
const ROOTS = ["core", "plugins", "config", "bench", "scripts"];

/**
 * Where a vendor may be met outside of tests and tools: its types stay in the folder that uses it, so that another can
 * take its place there. What is not listed is open to every folder.
 */
const VENDOR_HOMES: Readonly<Record<string, readonly string[]>> = {
  yaml: ["config/"],
  pino: ["core/services/"],
  "prom-client": ["core/services/"],
  "ipaddr.js": ["config/", "core/net/"],
  "@hono/node-server": ["core/listener/", "core/testing/", "core/demo/"],
  "@bufbuild/protobuf": ["core/demo/", "plugins/"],
  "@connectrpc/connect": ["plugins/"],
  cockatiel: ["core/policies/", "plugins/"],
  "node:dns": ["core/upstream/dns/"],
  "node:http": ["core/testing/"],
  "node:https": ["core/testing/"],
  "node:http2": ["core/testing/", "core/demo/"],
};

/** The only list of built-in plugins has one reader; these tests and scripts look at it as the entry does. */
const PLUGIN_LIST_READERS = ["core/main.ts", "scripts/readme.test.ts"];

/** A test, a helper of tests (`test-….ts`) or a program that a test starts (`….child.ts`). */
const isTest = (file: string): boolean =>
  /\.(test|child)\.ts$/.test(file) || (/\/test-[^/]+\.ts$/.test(file) && !file.startsWith("core/testing/"));
/** What of the insides of the contract is for the core: copies, checked header lists, joined pieces. */
const FOR_CORE = ["core/plugin/copy-bytes.ts", "core/plugin/headers.ts", "core/plugin/joint.ts"];
/** Folders that run on a developer's machine only, where development's packages are. */
const DEVELOPMENT = ["bench/", "scripts/", "core/e2e/"];
const isDevelopment = (file: string): boolean =>
  isTest(file) || DEVELOPMENT.some((folder) => file.startsWith(folder));

/** The folder of a plugin (`plugins/cors/`), or undefined outside of them. */
const pluginFolder = (file: string): string | undefined => /^plugins\/[^/]+\//.exec(file)?.[0];

/** `hono/etag` → `hono`, `@scope/name/sub` → `@scope/name`. */
const packageName = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

const transpiler = new Bun.Transpiler({
  loader: "ts",
  // Keeps imports that nothing in the file uses.
  tsconfig: JSON.stringify({ compilerOptions: { verbatimModuleSyntax: true } }),
});

/** Every module that a source names in an import, an export or a require, types included. */
export function specifiersOf(source: string): string[] {
  const withTypes = source
    // The transpiler drops what is only a type; without the word it is an import like any other.
    .replace(/^(\s*)(import|export)\s+type\s+(?=[{*]|\w+\s+from\b)/gm, "$1$2 ")
    .replace(
      /^(\s*(?:import|export)\b[^;'"`=()]*\{)([^}]*)(?=\}\s*from\b)/gm,
      (_, head: string, names: string) => head.concat(names.replace(/(^|,)(\s*)type\s+(?=\w)/g, "$1$2")),
    );
  return transpiler.scanImports(withTypes).map(({ path }) => path);
}

/** The rule that `file` breaks by importing `specifier`, or undefined. */
function brokenRule(file: string, specifier: string, manifest: Manifest): string | undefined {
  if (specifier.startsWith(".")) return brokenByFile(file, normalize(join(dirname(file), specifier)));
  if (specifier === "sluice/plugin") return undefined;
  if (specifier === "sluice/testing") {
    // The plugin host hands it to external plugins.
    return isTest(file) || file.startsWith("core/plugin-host/")
      ? undefined
      : "only tests import sluice/testing";
  }
  return brokenByPackage(file, specifier, manifest);
}

function brokenByFile(file: string, target: string): string | undefined {
  if (isTest(target) && !isDevelopment(file)) return "only tests import tests and their helpers";
  if (target === "plugins/index.ts") {
    return PLUGIN_LIST_READERS.includes(file) ? undefined : "only core/main.ts imports plugins/index.ts";
  }
  if (file.startsWith("core/plugin/") && !target.startsWith("core/plugin/")) {
    return "core/plugin imports nothing of ours";
  }
  const plugin = pluginFolder(file);
  if (plugin !== undefined && !target.startsWith(plugin)) {
    return "a plugin imports only sluice/plugin, sluice/testing in tests, its own files and packages";
  }
  if (file.startsWith("config/") && target.startsWith("core/")) {
    return "config imports nothing of core but sluice/plugin";
  }
  if (target.startsWith("plugins/") && !file.startsWith("plugins/")) {
    return "no plugin is known by name outside of plugins/";
  }
  if (
    target.startsWith("core/plugin/") &&
    !file.startsWith("core/plugin/") &&
    !(FOR_CORE.includes(target) && file.startsWith("core/"))
  ) {
    return "the plugin contract is imported as sluice/plugin";
  }
  const tools = DEVELOPMENT.find((folder) => target.startsWith(folder));
  if (tools !== undefined && !isDevelopment(file)) return `${tools} is imported by tests and tools only`;
  return undefined;
}

function brokenByPackage(file: string, specifier: string, manifest: Manifest): string | undefined {
  const ofRuntime = /^(node|bun)(:|$)/.test(specifier);
  const name = ofRuntime ? specifier : packageName(specifier);
  if (!ofRuntime) {
    if (isBuiltin(specifier)) return "Node's own modules are imported as node:*";
    const shipped = name in manifest.dependencies;
    if (!shipped && !(name in manifest.devDependencies)) return `${name} is not in package.json`;
    if (!shipped && !isDevelopment(file)) return `${name} is a devDependency: only tests and tools import it`;
  }
  const homes = VENDOR_HOMES[name];
  if (homes === undefined || isDevelopment(file) || homes.some((home) => file.startsWith(home)))
    return undefined;
  return `${name} is imported in ${homes.join(", ")} only`;
}

/** Checks sources by their path from the repository's root. */
export function checkImports(sources: ReadonlyMap<string, string>, manifest: Manifest): Violation[] {
  const violations: Violation[] = [];
  for (const [file, source] of sources) {
    for (const specifier of new Set(specifiersOf(source))) {
      const rule = brokenRule(file, specifier, manifest);
      if (rule === undefined) continue;
      const at = source.search(new RegExp(`["']${RegExp.escape(specifier)}["']`));
      violations.push({ file, line: source.slice(0, at).split("\n").length, specifier, rule });
    }
  }
  return violations;
}

/** Reads every source of the repository; what configurations name (config/examples, config/broken) is none. */
export async function readSources(root: string): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for (const folder of ROOTS) {
    for await (const file of new Bun.Glob(`${folder}/**/*.ts`).scan({ cwd: root })) {
      if (/^config\/(examples|broken)\//.test(file)) continue;
      sources.set(file, await Bun.file(join(root, file)).text());
    }
  }
  return sources;
}

export async function readManifest(root: string): Promise<Manifest> {
  return (await Bun.file(join(root, "package.json")).json()) as Manifest;
}

if (import.meta.main) {
  const root = join(import.meta.dir, "..");
  const sources = await readSources(root);
  const violations = checkImports(sources, await readManifest(root));
  for (const { file, line, specifier, rule } of violations) {
    console.error(`${file}:${line}: imports "${specifier}": ${rule}`);
  }
  console.log(`${sources.size} files, ${violations.length} imports against the rules`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
