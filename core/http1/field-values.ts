import { TOKEN } from "sluice/plugin";

/** The few field values that a codec must understand itself. */

/** Options in `Connection` that matter to a codec, as bits. */
export const OPTION = { close: 1, keepAlive: 2, upgrade: 4 } as const;

/** Whether an `Upgrade` value names protocols, as RFC 9110 §7.8 writes them. */
export function isProtocols(value: string): boolean {
  return listOf(value).every((protocol) => {
    const parts = protocol.split("/");
    return parts.length <= 2 && parts.every((part) => TOKEN.test(part));
  });
}

/** Which of {@link OPTION} a `Connection` value names (RFC 9110 §7.6.1: a list of tokens, any case). */
export function connectionOptions(value: string): number {
  if (value === "keep-alive") return OPTION.keepAlive;
  if (value === "close") return OPTION.close;
  let options = 0;
  for (const option of listOf(value.toLowerCase())) {
    if (option === "close") options |= OPTION.close;
    else if (option === "keep-alive") options |= OPTION.keepAlive;
    else if (option === "upgrade") options |= OPTION.upgrade;
  }
  return options;
}

/** The elements of a comma-separated list (RFC 9110 §5.6.1), without the white space around them. */
export function listOf(value: string): string[] {
  return value.split(",").map(trimSpace);
}

// By index: a pattern takes quadratic time over a value that is all white space, which a stranger may send; and
// `trim` would take a no-break space for white space, which no other parser does (OWS: RFC 9110 §5.6.3).
function trimSpace(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/**
 * `Content-Length` as a number; -1 for anything but plain digits (RFC 9110 §8.6), for a list even of equal
 * values, and for what a double cannot count exactly.
 */
export function contentLength(value: string): number {
  const digits = value.length;
  if (digits === 0 || digits > 16) return -1;
  let length = 0;
  for (let i = 0; i < digits; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}

/** Whether `Transfer-Encoding` is the one coding that is spoken here; its name has no case (RFC 9112 §7). */
export function isChunked(value: string): boolean {
  return value === "chunked" || (value.length === 7 && value.toLowerCase() === "chunked");
}

const REGISTERED =
  /^(?:(?:x-)?gzip|deflate|(?:x-)?compress)(?:[ \t]*,[ \t]*(?:(?:x-)?gzip|deflate|(?:x-)?compress))*[ \t]*,[ \t]*chunked$/i;

/** Whether it is a well-formed list of registered codings that ends in chunked: known, and not spoken here. */
export function isForeignCoding(value: string): boolean {
  return value.length <= 256 && REGISTERED.test(value);
}
