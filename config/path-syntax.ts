/** The words for it in errors. */
export const PATH_EXPECTED = "a path such as /exact, /users/:id or /api/*";

export const PATH_PATTERN = "^/[^?#\\s\\\\]*$";

/** What is wrong with a route's path pattern; undefined where nothing is. */
export function pathPatternFault(text: string): string | undefined {
  const fault = pathFault(text);
  if (fault !== undefined) return fault;
  const names = new Set<string>();
  const segments = text.slice(1).split("/");
  for (const [index, segment] of segments.entries()) {
    if (segment.includes("*") && (segment !== "*" || index !== segments.length - 1)) {
      return "a * stands alone as the last segment";
    }
    if (!segment.startsWith(":")) continue;
    if (!/^:[A-Za-z_][A-Za-z0-9_]*$/.test(segment)) return "behind : stands a name of letters, digits and _";
    if (names.has(segment)) return `the name ${segment} stands in it twice`;
    names.add(segment);
  }
  return undefined;
}

/** What is wrong with a path without patterns; undefined where nothing is. */
export function pathFault(text: string): string | undefined {
  if (!text.startsWith("/")) return "it begins with /";
  if (text.includes("?") || text.includes("#")) return "the query has a key of its own";
  if (/[^!-~\u0080-\u{10ffff}]|[\s\\]/u.test(text)) {
    return "blanks, backslashes and control characters need an escape";
  }
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return "a % begins an escape of two hex digits";
  if (text.includes("%00")) return "%00 is refused in requests";
  if (text.split("/").some((segment) => /^(\.|%2e){1,2}$/i.test(segment))) {
    return "requests never have . or .. segments, they are resolved before";
  }
  return undefined;
}

/** What a pattern matches, taken apart once for many comparisons. */
export interface PathShape {
  /** Literal segments; `:name` ones stand as they are written. */
  readonly segments: readonly string[];
  /** Ends in `/*`: everything below, and what stands before it. */
  readonly rest: boolean;
}

/** Undefined is any path. */
export function pathShape(pattern: string | undefined): PathShape {
  if (pattern === undefined) return { segments: [], rest: true };
  const rest = pattern.endsWith("/*");
  return { segments: (rest ? pattern.slice(0, -2) : pattern).split("/").slice(1), rest };
}

/** Whether every path that `inner` matches is matched by `outer` too. Errs towards false. */
export function coversPath(outer: PathShape, inner: PathShape): boolean {
  const wide = outer.segments;
  const narrow = inner.segments;
  if (outer.rest ? narrow.length < wide.length : inner.rest || narrow.length !== wide.length) return false;
  for (let i = 0; i < wide.length; i++) {
    const segment = wide[i]!;
    if (segment !== narrow[i] && (!segment.startsWith(":") || narrow[i] === "")) return false;
  }
  return true;
}
