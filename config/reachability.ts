import { coversPath, type PathShape, pathShape } from "./path-syntax.ts";
import type { MatchConfig } from "./types.ts";

/**
 * For each match, the index of an earlier one that takes all of its requests, or undefined. Errs towards
 * undefined: two earlier matches that cover it only together are not seen.
 */
export function shadows(matches: readonly MatchConfig[]): (number | undefined)[] {
  // Each is compared with all before it: with thousands of routes, only what is cheap may stand in the loop.
  const shaped = matches.map((match) => ({ match, shape: pathShape(match.path) }));
  return shaped.map((inner, index) => {
    for (let i = 0; i < index; i++) if (coversMatch(shaped[i]!, inner)) return i;
    return undefined;
  });
}

interface Shaped {
  readonly match: MatchConfig;
  readonly shape: PathShape;
}

function coversMatch(outer: Shaped, inner: Shaped): boolean {
  return (
    coversPath(outer.shape, inner.shape) &&
    coversSet(outer.match.methods, inner.match.methods, (a, b) => a === b) &&
    coversSet(outer.match.hosts, inner.match.hosts, coversHost) &&
    coversFields(outer.match.headers, inner.match.headers) &&
    coversFields(outer.match.query, inner.match.query)
  );
}

/** An empty list is everything. */
function coversSet(
  outer: readonly string[],
  inner: readonly string[],
  covers: (a: string, b: string) => boolean,
): boolean {
  if (outer.length === 0) return true;
  return inner.length > 0 && inner.every((one) => outer.some((wide) => covers(wide, one)));
}

function coversHost(outer: string, inner: string): boolean {
  if (outer === inner) return true;
  // "*.example.com" is one label or more in front of ".example.com".
  return outer.startsWith("*.") && inner.length > outer.length - 1 && inner.endsWith(outer.slice(1));
}

type Fields = MatchConfig["headers"];

/** Fewer demands take more requests. */
function coversFields(outer: Fields, inner: Fields): boolean {
  return outer.every(([name, wanted]) =>
    inner.some(([other, value]) => other === name && (wanted === true || wanted === value)),
  );
}
