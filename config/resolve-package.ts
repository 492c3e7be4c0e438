import { readFileSync, realpathSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { kindAt } from "./text-file.ts";

/*
 * Node's resolution of a package's name (nodejs.org/api/esm.html, "Resolution and loading algorithm"). The
 * runtime's own resolver reads no package.json in a compiled binary.
 */

/** In the order in which a package lists them, the first that is one of these counts. */
const CONDITIONS: ReadonlySet<string> = new Set(["bun", "import", "node", "module", "default"]);
const EXTENSIONS = [
  "",
  ".ts",
  ".js",
  ".mts",
  ".mjs",
  ".cjs",
  "/index.ts",
  "/index.js",
  "/index.mjs",
  "/index.cjs",
];

/**
 * The file that `name` (`pkg`, `@scope/pkg`, `pkg/sub`) means to a file in `directory`; undefined where there is no
 * such package, or where it gives out nothing under that name.
 */
export function resolvePackage(name: string, directory: string): string | undefined {
  const match = /^((?:@[\w.~-]+\/)?[\w~-][\w.~-]*)(\/.+)?$/.exec(name);
  if (match === null) return undefined;
  const [, packageName = "", subpath = ""] = match;
  for (let at = directory; ; at = dirname(at)) {
    const folder = join(at, "node_modules", packageName);
    if (kindAt(folder) === "directory") {
      const file = fileOf(realpathSync(folder), subpath);
      return file !== undefined && isFile(file) ? file : undefined;
    }
    if (dirname(at) === at) return undefined;
  }
}

function fileOf(folder: string, subpath: string): string | undefined {
  const manifest = readManifest(folder);
  const exported = manifest["exports"];
  if (exported !== undefined && exported !== null) {
    const target = exportedTarget(exported, `.${subpath}`);
    const file = target === undefined ? undefined : resolve(folder, target);
    return file?.startsWith(folder + sep) === true ? file : undefined;
  }
  if (subpath !== "") return withExtension(join(folder, subpath));
  const main = manifest["module"] ?? manifest["main"];
  const named = typeof main === "string" ? withExtension(join(folder, main)) : undefined;
  return named ?? withExtension(join(folder, "index"));
}

function exportedTarget(exported: unknown, subpath: string): string | undefined {
  const isMap = typeof exported === "object" && exported !== null && !Array.isArray(exported);
  const map: Record<string, unknown> =
    isMap && Object.keys(exported).every((key) => key.startsWith("."))
      ? (exported as Record<string, unknown>)
      : { ".": exported };
  if (Object.hasOwn(map, subpath) && !subpath.includes("*")) return conditionalTarget(map[subpath], "");
  // The longest prefix wins, and of two the one with the longer key (PATTERN_KEY_COMPARE).
  const patterns = Object.keys(map)
    .filter((key) => key.split("*").length === 2)
    .sort((a, b) => b.indexOf("*") - a.indexOf("*") || b.length - a.length);
  for (const key of patterns) {
    const [before = "", after = ""] = key.split("*");
    const fits = subpath.startsWith(before) && subpath.endsWith(after) && subpath.length >= key.length;
    if (fits) return conditionalTarget(map[key], subpath.slice(before.length, subpath.length - after.length));
  }
  return undefined;
}

function conditionalTarget(target: unknown, matched: string): string | undefined {
  if (typeof target === "string")
    return target.startsWith("./") ? target.replaceAll("*", () => matched) : undefined;
  if (typeof target !== "object" || target === null) return undefined;
  const choices: readonly [string, unknown][] = Array.isArray(target)
    ? target.map((one: unknown) => ["default", one])
    : Object.entries(target);
  for (const [condition, choice] of choices) {
    const found = CONDITIONS.has(condition) ? conditionalTarget(choice, matched) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function readManifest(folder: string): Readonly<Record<string, unknown>> {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return typeof manifest === "object" && manifest !== null ? (manifest as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function withExtension(path: string): string | undefined {
  return EXTENSIONS.map((extension) => path + extension).find(isFile);
}

function isFile(path: string): boolean {
  return kindAt(path) === "file";
}
