import type { AnyPlugin } from "sluice/plugin";

/** The plugins that a configuration may name. */
export interface PluginRegistry {
  /** Undefined for an unknown name, and for a plugin that could not be loaded. */
  get(name: string): AnyPlugin | undefined;
  /** Names of plugins that could not be loaded included, so that their steps are not called unknown as well. */
  readonly names: readonly string[];
}
