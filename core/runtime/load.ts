import type { AnyPlugin } from "sluice/plugin";
import {
  type ConfigDocument,
  type NamedPlugin,
  type Problem,
  readDocument,
  validateDocument,
} from "../../config/index.ts";
import type { Config } from "../../config/types.ts";
import { loadExternal, type LoadedPlugin, PluginLoadError } from "../plugin-host/load-external.ts";
import { createRegistry, type PluginRegistry } from "../plugin-host/registry.ts";

/** A configuration that may run. */
export interface LoadedConfig {
  readonly config: Config;
  /** What was written, for the places of what cannot be set up; until `forget`. */
  readonly document: ConfigDocument | undefined;
  readonly warnings: readonly Problem[];
  /** Every file that took part, plugins' included: what to watch. */
  readonly files: readonly string[];
  /** Lets go of the document: it is set up, and with thousands of routes the document is most of the memory. */
  forget(): void;
  /** Gives the third parties' plugins back; once, when nothing uses this configuration any more. */
  release(): void;
}

export type LoadOutcome =
  | { readonly ok: true; readonly loaded: LoadedConfig }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly files: readonly string[] };

/** Reads a file and everything it names, and checks all of it; nothing listens or runs yet. */
export async function loadConfig(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  builtins: readonly AnyPlugin[],
): Promise<LoadOutcome> {
  const document = await readDocument(file, env);
  const registry = createRegistry(builtins);
  const found: Problem[] = [];
  const files = new Set(document.files);
  const loaded: LoadedPlugin[] = [];
  for (const named of document.externalPlugins) {
    const plugin = await loadNamed(named, registry, found, files);
    if (plugin !== undefined) loaded.push(plugin);
  }
  const release = (): void => {
    for (const plugin of loaded) plugin.release();
  };

  const outcome = validateDocument(document, registry, found);
  if ("problems" in outcome) {
    release();
    return { ok: false, problems: outcome.problems, files: [...files] };
  }
  for (const path of outcome.config.files) files.add(path);
  let kept: ConfigDocument | undefined = document;
  return {
    ok: true,
    loaded: {
      config: outcome.config,
      get document() {
        return kept;
      },
      forget() {
        kept = undefined;
      },
      warnings: outcome.warnings,
      files: [...files],
      release,
    },
  };
}

async function loadNamed(
  named: NamedPlugin,
  registry: PluginRegistry,
  found: Problem[],
  files: Set<string>,
): Promise<LoadedPlugin | undefined> {
  const path = `plugins.${named.name}`;
  // Watched even when it does not load: mending it is what the operator will do next.
  files.add(named.path);
  let plugin: LoadedPlugin | undefined;
  try {
    plugin = await loadExternal(named.path);
    for (const file of plugin.files) files.add(file);
    for (const message of registry.add(named.name, plugin.definition))
      found.push({ severity: "warning", place: named.place, path, message });
    return plugin;
  } catch (error) {
    if (!(error instanceof PluginLoadError)) throw error;
    for (const file of error.files) files.add(file);
    found.push({ severity: "error", place: named.place, path, message: error.message });
    registry.addBroken(named.name);
    plugin?.release();
    return undefined;
  }
}
