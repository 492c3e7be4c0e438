import type { HeaderList } from "sluice/plugin";
import type { MatchConfig } from "../../config/types.ts";

/** What the fields of a match that need no index look at. `ExchangeRequest` fits. */
export interface FieldFacts {
  readonly method: string;
  readonly headers: HeaderList;
  /** The query with its `?`, or "". */
  readonly search: string;
}

type Wanted = readonly (readonly [name: string, value: string | true])[];

/** `method`, `header` and `query` of a match; undefined where it has none of them. */
export function fieldChecks(match: MatchConfig): ((facts: FieldFacts) => boolean) | undefined {
  const { methods, headers, query } = match;
  if (methods.length === 0 && headers.length === 0 && query.length === 0) return undefined;
  return (facts) =>
    methodMatches(methods, facts.method) &&
    headersMatch(headers, facts.headers) &&
    queryMatches(query, facts.search);
}

/** Methods compare exactly (RFC 9110 §9.1): HEAD is matched where it is listed. */
export function methodMatches(methods: readonly string[], method: string): boolean {
  return methods.length === 0 || methods.includes(method);
}

/** Each name must be there, with that value in one of its field lines where one is given. */
export function headersMatch(wanted: Wanted, headers: HeaderList): boolean {
  for (const [name, value] of wanted) if (!hasHeader(headers, name, value)) return false;
  return true;
}

/** Each name must be there, percent- and plus-decoded, with that value in one of its pairs where one is given. */
export function queryMatches(wanted: Wanted, search: string): boolean {
  if (wanted.length === 0) return true;
  const params = paramsOf(search);
  for (const [name, value] of wanted) {
    if (!(value === true ? params.has(name) : params.has(name, value))) return false;
  }
  return true;
}

function hasHeader(headers: HeaderList, name: string, value: string | true): boolean {
  const flat = headers.flat;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] === name && (value === true || flat[i + 1] === value)) return true;
  }
  return false;
}

// Many routes may look at one request's query: it is decoded once.
let decodedSearch = "";
let decodedParams = new URLSearchParams();

function paramsOf(search: string): URLSearchParams {
  if (search === decodedSearch) return decodedParams;
  // One character a byte came in; what is not ASCII is UTF-8 by custom (WHATWG URL, urlencoded parsing).
  const text = /[^\0-\x7f]/.test(search) ? Buffer.from(search, "latin1").toString("utf8") : search;
  decodedParams = new URLSearchParams(text);
  decodedSearch = search;
  return decodedParams;
}
