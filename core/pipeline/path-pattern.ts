import { normalizePath } from "./path.ts";

/** A route's `path`, taken apart. Its literal parts are in the normal form that requests have. */
export interface PathPattern {
  /** As written. */
  readonly source: string;
  /** In order; undefined stands for `:name`, one segment that is not empty. */
  readonly segments: readonly (string | undefined)[];
  /** Ends in `/*`: everything below, and the path before the slash itself. */
  readonly rest: boolean;
  /** The path that alone matches, where there is neither `:name` nor `/*`. */
  readonly exact: string | undefined;
}

/** @throws TypeError for a pattern that is no absolute path. */
export function pathPattern(source: string): PathPattern {
  const path = normalizePath(source);
  if (path === undefined) throw new TypeError(`${JSON.stringify(source)} is not a path that can be matched`);
  const rest = path.endsWith("/*");
  const segments = (rest ? path.slice(0, -2) : path)
    .split("/")
    .slice(1)
    .map((segment) => (segment.length > 1 && segment.startsWith(":") ? undefined : segment));
  const exact = rest || segments.includes(undefined) ? undefined : path;
  return { source, segments, rest, exact };
}

/** @param path in normal form. */
export function pathMatches(pattern: PathPattern, path: string): boolean {
  if (pattern.exact !== undefined) return path === pattern.exact;
  let at = 0;
  for (const segment of pattern.segments) {
    if (path.charCodeAt(at) !== 0x2f) return false;
    const end = segmentEnd(path, at + 1);
    if (segment === undefined ? end === at + 1 : !isSlice(path, at + 1, end, segment)) return false;
    at = end;
  }
  return at === path.length || (pattern.rest && path.charCodeAt(at) === 0x2f);
}

/** Index of the slash that ends the segment beginning at `from`, or the path's length. */
export function segmentEnd(path: string, from: number): number {
  const slash = path.indexOf("/", from);
  return slash < 0 ? path.length : slash;
}

function isSlice(path: string, from: number, end: number, text: string): boolean {
  return end - from === text.length && path.startsWith(text, from);
}
