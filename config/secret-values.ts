import { type ConfigNode, scalarsOf } from "./node.ts";
import { isSecretPath } from "./secrets.ts";
import type { Config } from "./types.ts";

/*
 * Options that a plugin's schema has transformed have lost where they came from. So the secret texts of a
 * configuration are kept beside it, and whatever holds one of them is masked wherever it turns up.
 */

const secretsOf = new WeakMap<Config, ReadonlySet<string>>();

/** Notes what came from `${file:…}`, and every text under a secret's key. */
export function rememberSecrets(config: Config, root: ConfigNode): void {
  const secrets = new Set<string>();
  for (const [scalar, path] of scalarsOf(root)) {
    const text = typeof scalar.value === "string" ? scalar.value : "";
    if (text !== "" && (scalar.interpolated?.fromFile === true || isSecretPath(path))) secrets.add(text);
  }
  secretsOf.set(config, secrets);
}

/** The secret texts of a configuration that `validateDocument` made; none for any other. */
export function secretTexts(config: Config): ReadonlySet<string> {
  return secretsOf.get(config) ?? new Set();
}
