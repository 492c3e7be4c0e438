import { type ConfigNode, type Path, scalarsOf } from "./node.ts";

/** What stands for a value that nobody may read. */
export const MASK = "***";

// Whole words at a name's end, so that `api_key` and `admin_token` are secrets and `max_tokens` is none.
const SECRET_KEY =
  /(^|[-_.])(authorization|cookie|set-cookie|password|passwd|passphrase|secrets?|token|api[-_]?key|apikey|keys|credentials?|private[-_]?key)$/i;

/** Whether a key of that name holds a secret. `key` alone is none: it names the file of a private key. */
export function isSecretKey(name: string): boolean {
  return SECRET_KEY.test(name);
}

/** Whether the value at `path` is a secret, or is a part of one. */
export function isSecretPath(path: Path): boolean {
  return !isCookieName(path) && path.some((part) => typeof part === "string" && isSecretKey(part));
}

/** `upstreams.NAME.hash` names the cookie that is hashed, and holds none. */
function isCookieName(path: Path): boolean {
  return path[0] === "upstreams" && path[2] === "hash" && path.at(-1) === "cookie";
}

/** The user information of every URL in a text, masked: `redis://***@host`. */
export function maskUserInfo(text: string): string {
  // A pattern that began with the scheme would be tried from every letter of a long word.
  return text.replace(/:\/\/[^/?#\s]*@/g, `://${MASK}@`);
}

/** A value as it may stand in a message: never one that came from outside the file or stands under a secret key. */
export function describe(node: ConfigNode | undefined, path: Path = []): string {
  if (node === undefined) return "nothing";
  if (node.kind === "sequence") return node.items.length === 0 ? "an empty list" : "a list";
  if (node.kind === "mapping") return "a mapping";
  if (node.interpolated !== undefined) return `the value of ${node.interpolated.expressions.join(" and ")}`;
  if (node.value === null) return "nothing";
  if (isSecretPath(path)) return "a value that is not shown";
  if (typeof node.value === "number") return `the number ${node.source}`;
  return typeof node.value === "boolean" ? String(node.value) : quoted(node.value);
}

/** A name of which there is none: `upstream "web"`, or `upstream (the value of ${NAME})`. */
export function describeNamed(what: string, node: ConfigNode | undefined): string {
  const interpolated = node?.kind === "scalar" && node.interpolated !== undefined;
  return interpolated ? `${what} (${describe(node)})` : `${what} ${describe(node)}`;
}

/** A text of the file in quotes, on one line and not too long. */
export function quoted(text: string): string {
  const shown = maskUserInfo(text);
  return JSON.stringify(shown.length > 80 ? `${shown.slice(0, 79)}…` : shown);
}

/** `message` without the secrets at and below `node`, for words that a plugin's schema chose. */
export function redacted(message: string, node: ConfigNode | undefined, path: Path): string {
  if (node === undefined) return message;
  let text = maskUserInfo(message);
  for (const [scalar, below] of scalarsOf(node, path)) {
    if (scalar.interpolated === undefined && !isSecretPath(below)) continue;
    // One or two letters are no secret, and would be found in any word.
    const value = String(scalar.value);
    if (value.length > 2) text = text.replaceAll(value, MASK);
  }
  return text;
}
