import { IN_VALUE } from "../http1/bytes.ts";

// What makes a field malformed, for whoever looks at which it is.

/** RFC 9113 §8.2.1. */
export const PADDED_VALUE = "white space around a header value";
/** The list is longer than was read of it. */
export const TOO_LARGE = "too many or too long header fields";

// RFC 9113 §8.2.1: a lower-case token, with a colon only in front; a value without NUL, CR, LF, and not padded. Nor with
// the other control bytes that RFC 9110 §5.5 has no place for: our HTTP/1.1 takes none, and what came by HTTP/2 may go on
// by that.
const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** What makes a field malformed; undefined where nothing does. `known`: its name stands in the static table. */
export function flawOf(name: string, value: string, known: boolean): string | undefined {
  if (!known && !NAME.test(name)) return "an illegal header name";
  if (!isText(value)) return "an illegal header value";
  return isPadded(value) ? PADDED_VALUE : undefined;
}

function isText(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (IN_VALUE[value.charCodeAt(i)] !== 1) return false;
  return true;
}

function isPadded(value: string): boolean {
  if (value.length === 0) return false;
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09;
}
