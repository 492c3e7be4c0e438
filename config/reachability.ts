import { PathIndex } from "./path-index.ts";
import { pathShape } from "./path-syntax.ts";
import type { MatchConfig } from "./types.ts";

/**
 * For each match, the index of an earlier one that takes all of its requests, or undefined. Errs towards
 * undefined: two earlier matches that cover it only together are not seen.
 */
export function shadows(matches: readonly MatchConfig[]): (number | undefined)[] {
  const earlier = new PathIndex();
  return matches.map((inner, index) => {
    const shape = pathShape(inner.path);
    const before = earlier.covering(shape).find((i) => coversMatch(matches[i]!, inner));
    earlier.add(shape, index);
    return before;
  });
}

/** Whether all but the path of `outer` takes what `inner` takes. */
function coversMatch(outer: MatchConfig, inner: MatchConfig): boolean {
  return (
    coversSet(outer.methods, inner.methods, (a, b) => a === b) &&
    coversSet(outer.hosts, inner.hosts, coversHost) &&
    coversFields(outer.headers, inner.headers) &&
    coversFields(outer.query, inner.query)
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
