import { dirname, isAbsolute, resolve } from "node:path";
import { entriesOf, formatPath, type ConfigNode, textOf, isFailed } from "./node.ts";
import { PLANNED_PLUGINS, STEP_KEYS } from "./planned.ts";
import type { Problems } from "./problem.ts";
import { resolvePackage } from "./resolve-package.ts";
import { describe } from "./secrets.ts";
import { ITEM_NAME, ITEM_NAME_EXPECTED } from "./names.ts";
import { kindAt } from "./text-file.ts";
import type { ExternalPlugin, Place } from "./types.ts";

/** A third party's plugin, found and not yet loaded. */
export interface NamedPlugin extends ExternalPlugin {
  readonly place: Place;
}

/** Finds what `plugins` names: files relative to the file that names them, packages as Node resolves them from there. */
export function findExternalPlugins(plugins: ConfigNode | undefined, problems: Problems): NamedPlugin[] {
  const found: NamedPlugin[] = [];
  for (const { key: name, keyPlace, value } of entriesOf(plugins)) {
    const path = formatPath(["plugins", name]);
    const refusal = refusedName(name);
    if (refusal !== undefined) problems.error(keyPlace, path, refusal);
    const source = textOf(value);
    if (source === undefined || source === "" || isFailed(value)) continue;
    const file = locate(source, describe(value), dirname(value.place.file));
    if (typeof file === "string") {
      if (refusal === undefined) found.push({ name, source, path: file, place: value.place });
    } else problems.error(value.place, path, file.wrong, file);
  }
  return found;
}

function refusedName(name: string): string | undefined {
  if (STEP_KEYS.has(name)) return `the name ${JSON.stringify(name)} has a meaning of its own in a step`;
  if (PLANNED_PLUGINS.has(name)) return `the name ${JSON.stringify(name)} is reserved for a built-in plugin`;
  return ITEM_NAME.test(name) ? undefined : `expected ${ITEM_NAME_EXPECTED}, got ${JSON.stringify(name)}`;
}

function locate(
  source: string,
  shown: string,
  directory: string,
): string | { wrong: string; suggestion?: string } {
  const beside = resolve(directory, source);
  if (isAbsolute(source) || source.startsWith("./") || source.startsWith("../")) {
    const kind = kindAt(beside);
    if (kind === "file") return beside;
    const wrong = kind === "directory" ? "it is a directory, expected a .ts or .js file" : "no such file";
    return { wrong: `cannot load ${shown}: ${wrong}` };
  }
  const resolved = resolvePackage(source, directory);
  if (resolved !== undefined) return resolved;
  const wrong = `cannot load ${shown}: no such package in a node_modules folder above this file`;
  // A value that is not shown is not suggested either.
  const suggest = kindAt(beside) === "file" && shown === JSON.stringify(source);
  return suggest ? { wrong, suggestion: `./${source}` } : { wrong };
}
