import type { AnyPlugin } from "sluice/plugin";
import { contained } from "./contain.ts";
import { PluginLoadError } from "./plugin-load-error.ts";

/** The plugins of one generation: the built-in ones and those that its configuration names. */
export interface PluginRegistry {
  get(name: string): AnyPlugin | undefined;
  /** Names that a step may use, broken ones included; sorted. */
  readonly names: readonly string[];
  /** Whether the plugin is a third party's. */
  isExternal(name: string): boolean;
  /** Whether the configuration names a plugin of which {@link PluginRegistry.addBroken} said that it does not load. */
  isBroken(name: string): boolean;
  /**
   * Adds a third party's plugin under its name in YAML, which counts, whatever the definition calls itself.
   * Answers warnings for the operator.
   * @throws PluginLoadError when a plugin of that name is there already
   */
  add(name: string, definition: AnyPlugin): readonly string[];
  /** Adds a name whose plugin could not be loaded, so that its steps are not reported as unknown as well. */
  addBroken(name: string): void;
}

/** A registry that holds `builtins`. @throws Error when two of them share a name */
export function createRegistry(builtins: readonly AnyPlugin[]): PluginRegistry {
  const ours = new Map<string, AnyPlugin>();
  for (const plugin of builtins) {
    if (ours.has(plugin.name))
      throw new Error(`two built-in plugins are called ${JSON.stringify(plugin.name)}`);
    ours.set(plugin.name, plugin);
  }
  const theirs = new Map<string, AnyPlugin>();
  const broken = new Set<string>();

  return {
    get: (name) => ours.get(name) ?? theirs.get(name),
    get names() {
      return [...new Set([...ours.keys(), ...theirs.keys(), ...broken])].sort();
    },
    isExternal: (name) => theirs.has(name),
    isBroken: (name) => broken.has(name),
    add(name, definition) {
      if (ours.has(name))
        throw new PluginLoadError(name, `${name} is a built-in plugin; give yours another name`);
      if (theirs.has(name)) throw new PluginLoadError(name, `there are two plugins called ${name}`);
      theirs.set(name, contained(definition, name));
      if (definition.name === name) return [];
      return [`the plugin calls itself ${definition.name}; here it is ${name}`];
    },
    addBroken(name) {
      if (!ours.has(name)) broken.add(name);
    },
  };
}
