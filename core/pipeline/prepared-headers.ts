import { HeaderList } from "sluice/plugin";

/** One header that a step set before there was an answer. */
interface PreparedHeader {
  readonly name: string;
  readonly value: string;
  readonly append: boolean;
}

/**
 * Headers for an answer that is still to come, in the order in which steps set them. Never changed in place, so
 * a reference is a snapshot.
 */
export type PreparedHeaders = readonly PreparedHeader[];

export const NOTHING_PREPARED: PreparedHeaders = [];

/** Fields of which an answer may have several, so that a prepared one stands beside the answer's own. */
const ADDED = new Set(["set-cookie", "vary"]);

/**
 * With one header more; an `undefined` value takes those of its name away.
 * @throws TypeError on an illegal name or value.
 */
export function withPrepared(
  prepared: PreparedHeaders,
  name: string,
  value: string | undefined,
  append: boolean,
): PreparedHeaders {
  const key = name.toLowerCase();
  const kept = append && value !== undefined ? prepared : prepared.filter((header) => header.name !== key);
  if (value === undefined) return kept;
  // It is applied when the step that set it is no longer there to be told.
  new HeaderList().append(key, value);
  return [...kept, { name: key, value, append }];
}

/**
 * Puts prepared headers on an answer, as Hono's setter of `c.res` does: they replace what the answer has under
 * the name, save that `content-type` stays the answer's own. A cookie, `Vary`, and what was prepared with
 * `append` are added to it: an upstream's cookies are not ours to drop. Doing it twice does no harm.
 */
export function applyPrepared(prepared: PreparedHeaders, headers: HeaderList): void {
  for (const { name, value, append } of prepared) {
    if (name === "content-type") continue;
    if (!append && !ADDED.has(name)) headers.set(name, value);
    else if (!headers.all(name).includes(value)) headers.append(name, value);
  }
}

/** As Fetch headers, for an answer that a step makes. */
export function preparedAsHeaders(prepared: PreparedHeaders): Headers {
  const headers = new Headers();
  for (const { name, value, append } of prepared) {
    if (append) headers.append(name, value);
    else headers.set(name, value);
  }
  return headers;
}

/** What `prepared` is after a step changed its Fetch view: fields that differ count as set. */
export function preparedFrom(changed: Headers, prepared: PreparedHeaders): PreparedHeaders {
  const before = preparedAsHeaders(prepared);
  const next = prepared.filter(({ name }) => before.get(name) === changed.get(name));
  for (const [name, value] of changed) {
    if (before.get(name) !== changed.get(name)) next.push({ name, value, append: name === "set-cookie" });
  }
  return next;
}
