import type { RouteConfig } from "../../config/types.ts";
import { normalizePath } from "./path.ts";

/**
 * Compiles a route's `rewrite`. Paths go in and come out in normal form; the query is not touched.
 *
 * - `strip_prefix: /pair` takes whole segments off the front: `/pair/x` → `/x`, `/pair` → `/`; `/pairs` and any
 *   other path stay as they are.
 * - `replace: /y` puts `/y` in the place of the whole path.
 * - Both: `replace` goes where the prefix was: `/pair/x` → `/y/x`, `/pair` → `/y`.
 *
 * @throws TypeError where either is no absolute path.
 */
export function compileRewrite(rewrite: RouteConfig["rewrite"]): (path: string) => string {
  if (rewrite === undefined) return (path) => path;
  const replacement = rewrite.replace === undefined ? undefined : normal(rewrite.replace);
  if (rewrite.stripPrefix === undefined)
    return replacement === undefined ? (path) => path : () => replacement;
  const prefix = withoutLastSlash(normal(rewrite.stripPrefix));
  const front = replacement === undefined ? "" : withoutLastSlash(replacement);
  const alone = replacement ?? "/";
  return (path) => {
    if (!path.startsWith(prefix)) return path;
    if (path.length === prefix.length) return alone;
    return path.charCodeAt(prefix.length) === 0x2f ? front + path.slice(prefix.length) : path;
  };
}

function normal(path: string): string {
  const normalized = normalizePath(path);
  if (normalized === undefined) throw new TypeError(`${JSON.stringify(path)} is not an absolute path`);
  return normalized;
}

function withoutLastSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
}
