import { type AnyPlugin, API_VERSION, definePlugin, isPluginDefinition } from "sluice/plugin";
import { z } from "zod";

/** What a plugin's module exports, made sound, or what is wrong with it (to be read behind the file's name). */
export function checkDefinition(exports: unknown): AnyPlugin | string {
  const value = defaultExport(exports);
  if (value === undefined) return "has no default export; export what definePlugin() answers";
  if (!isPluginDefinition(value))
    return `its default export (${kindOf(value)}) was not made by definePlugin()`;

  // From here on each field is as its author left it, whatever the types say.
  const given: { readonly [Key in keyof AnyPlugin]: unknown } = value;
  if (typeof given.apiVersion !== "number")
    return `says no apiVersion; this gateway speaks ${API_VERSION} (apiVersion: ${API_VERSION})`;
  if (given.apiVersion !== API_VERSION)
    return `needs plugin API ${given.apiVersion}, this gateway speaks ${API_VERSION}`;
  if (typeof given.name !== "string" || given.name === "") return "its definition has no name";
  if (!NAME.test(given.name))
    return `its name ${JSON.stringify(given.name)} is not in kebab-case (letters, digits and single dashes)`;
  if (given.schema !== undefined && !(given.schema instanceof z.core.$ZodType))
    return `its schema (${kindOf(given.schema)}) is not a zod schema`;
  if (typeof given.setup !== "function") return `its setup (${kindOf(given.setup)}) is not a function`;
  if (given.description !== undefined && typeof given.description !== "string")
    return `its description (${kindOf(given.description)}) is not a text`;
  return definePlugin<z.ZodType>({
    ...value,
    description: value.description ?? "",
    // A plugin without options takes none: a misspelt one is an error, as everywhere.
    schema: value.schema ?? z.strictObject({}),
  });
}

/** The key of a plugin in YAML. */
export const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** `export default` in TypeScript, `module.exports =` in CommonJS. */
function defaultExport(exports: unknown): unknown {
  if (typeof exports !== "object" || exports === null) return exports;
  if ("default" in exports) return exports.default;
  return isPluginDefinition(exports) ? exports : undefined;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return value === undefined ? "undefined" : `a ${typeof value}`;
}
