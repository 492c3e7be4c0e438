import { resolve } from "node:path";
import type { AnyPlugin } from "sluice/plugin";
import { forgetBundle, noteBundle } from "./attribution.ts";
import { type Bundle, bundle } from "./bundle.ts";
import { checkDefinition } from "./check-definition.ts";
import { evaluate } from "./evaluate.ts";
import { prepareHostModules } from "./host-modules.ts";
import { PluginLoadError } from "./plugin-load-error.ts";
import {
  forgetSource,
  placeOfFailure,
  rememberSource,
  restorePositions,
  sourceUrl,
} from "./stack-positions.ts";

export { PluginLoadError } from "./plugin-load-error.ts";

/** A third party's plugin in use. */
export interface LoadedPlugin {
  readonly definition: AnyPlugin;
  /** Of the file and everything it imports: the same hash is the same evaluated module. */
  readonly hash: string;
  /** Absolute paths of all files that took part: what a watcher watches. */
  readonly files: readonly string[];
  /** Gives it back; once for each `loadExternal`. The last one frees the evaluated module. */
  readonly release: () => void;
}

interface Evaluated {
  readonly definition: AnyPlugin;
  users: number;
}

/** What is in use, by hash. */
const evaluated = new Map<string, Evaluated>();

/**
 * Loads a plugin from a TypeScript or JavaScript file. The file is bundled each time, so that an edit is seen
 * wherever it was made; what the bundle's hash shows to be unchanged and in use is not evaluated again.
 *
 * What a file does at its top level runs here, in the gateway's process: a loop that does not end there cannot
 * be contained.
 *
 * @throws PluginLoadError
 */
export async function loadExternal(file: string): Promise<LoadedPlugin> {
  const path = resolve(file);
  const bundled = await bundle(path);
  await prepareHostModules(bundled.hostModules);
  const hash = new Bun.CryptoHasher("sha256")
    .update(path)
    .update("\0")
    .update(bundled.code)
    .digest("hex")
    .slice(0, 16);
  // Nothing is awaited from here on, so that two loads of one content share it.
  let entry = evaluated.get(hash);
  if (entry === undefined) {
    entry = { definition: define(bundled, path, hash), users: 0 };
    evaluated.set(hash, entry);
  }
  entry.users++;
  let released = false;
  return {
    definition: entry.definition,
    hash,
    files: bundled.files,
    release() {
      if (released) return;
      released = true;
      if (--entry.users > 0) return;
      evaluated.delete(hash);
      forgetSource(hash);
      forgetBundle(hash);
    },
  };
}

function define(bundled: Bundle, path: string, hash: string): AnyPlugin {
  rememberSource(hash, bundled.map, bundled.base);
  try {
    const definition = checkDefinition(evaluate(bundled.code, path, sourceUrl(hash, path)));
    if (typeof definition === "string")
      throw new PluginLoadError(path, `${path}: ${definition}`, { files: bundled.files });
    noteBundle(definition, hash);
    return definition;
  } catch (error) {
    const failure = error instanceof PluginLoadError ? error : evaluationFailure(path, bundled, error);
    forgetSource(hash);
    throw failure;
  }
}

function evaluationFailure(path: string, bundled: Bundle, error: unknown): PluginLoadError {
  const place = placeOfFailure(error) ?? path;
  restorePositions(error);
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new PluginLoadError(path, `${place}: its evaluation failed: ${what}`, {
    files: bundled.files,
    cause: error,
  });
}
