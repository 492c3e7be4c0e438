import { type ConfigDocument, type Problem, readDocument, validateDocument } from "../../config/index.ts";
import type { Config } from "../../config/types.ts";
import type { AnyPlugin } from "sluice/plugin";
import { loadExternal, type LoadedPlugin, PluginLoadError } from "../plugin-host/load-external.ts";
import { createRegistry } from "../plugin-host/registry.ts";

/** A configuration that may run. */
export interface LoadedConfig {
  readonly config: Config;
  readonly document: ConfigDocument;
  readonly warnings: readonly Problem[];
  /** The third parties' plugins that it names; to be released when no generation uses them any more. */
  readonly externals: readonly LoadedPlugin[];
  /** Every file that took part: what to watch. */
  readonly files: readonly string[];
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
  const externals: LoadedPlugin[] = [];
  const problems: Problem[] = [];
  for (const named of document.externalPlugins) {
    try {
      const plugin = await loadExternal(named.path);
      externals.push(plugin);
      registry.add(named.name, plugin.definition);
    } catch (error) {
      if (!(error instanceof PluginLoadError)) throw error;
      problems.push({
        severity: "error",
        place: named.place,
        path: `plugins.${named.name}`,
        message: error.message,
      });
      // The name is known, so that the steps which use it are not reported as well.
      registry.addBroken(named.name);
    }
  }
  const files = [...new Set([...document.files, ...externals.flatMap((plugin) => plugin.files)])];
  const outcome = validateDocument(document, registry, problems);
  if (!("config" in outcome)) {
    for (const plugin of externals) plugin.release();
    return { ok: false, problems: outcome.problems, files };
  }
  return {
    ok: true,
    loaded: { config: outcome.config, document, warnings: outcome.warnings, externals, files },
  };
}
