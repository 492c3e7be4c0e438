import { type AnyPlugin, definePlugin } from "sluice/plugin";
import { z } from "zod";
import type { PluginRegistry } from "../registry.ts";

/*
 * Plugins with the names and the options of the built-in ones, for the tests of this folder, which may not import
 * those. They do nothing.
 */

const changes = (direction: string): z.ZodType =>
  z
    .strictObject({
      set: z.record(z.string(), z.string()).optional().describe("Fields to set."),
      add: z.record(z.string(), z.string()).optional().describe("Fields to add."),
      remove: z.array(z.string()).optional().describe("Fields to remove."),
    })
    .optional()
    .describe(`Changes to the ${direction}.`);

export const standIns: readonly AnyPlugin[] = [
  standIn("request-id", z.strictObject({})),
  standIn("security-headers", z.strictObject({})),
  standIn("headers", z.strictObject({ request: changes("request"), response: changes("answer") })),
];

/** A plugin of that name and schema whose steps pass everything on. */
export function standIn(name: string, schema: z.ZodType, providesCandidates = false): AnyPlugin {
  return definePlugin({
    apiVersion: 1,
    name,
    description: `Stands in for ${name}.`,
    schema,
    providesCandidates,
    setup: () => ({ handle: (_c, next) => next() }),
  });
}

/** A registry of these plugins, and of names that could not be loaded. */
export function registryOf(
  plugins: readonly AnyPlugin[] = standIns,
  broken: readonly string[] = [],
): PluginRegistry {
  const byName = new Map(plugins.map((plugin) => [plugin.name, plugin]));
  return { get: (name) => byName.get(name), names: [...byName.keys(), ...broken] };
}
