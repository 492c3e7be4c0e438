import { copyBytes } from "../plugin/copy-bytes.ts";

/** Byte classes of HTTP/1.1 as lookup tables: one load a byte. */

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

function table(fill: (byte: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => fill(byte));
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;

/** RFC 9110 §5.6.2 `tchar`: the byte in lower case; 0 for a byte that stands in no token. */
export const TOKEN_LOWER: Uint8Array = table((byte) => {
  const char = String.fromCharCode(byte);
  return TOKEN.test(char) ? char.toLowerCase().charCodeAt(0) : 0;
});

/** RFC 9110 §5.5: HTAB, SP, VCHAR and obs-text may stand in a field value. */
export const IN_VALUE: Uint8Array = table((byte) => (byte === HTAB || (byte >= SP && byte !== 0x7f) ? 1 : 0));

/**
 * What may stand in a request target. RFC 3986 allows less, but browsers and tools send `{`, `|`, `"` and the
 * like raw in queries and no two parsers disagree about them; `#` would start a fragment, which is never sent.
 */
export const IN_TARGET: Uint8Array = table((byte) => (byte > SP && byte < 0x7f && byte !== 0x23 ? 1 : 0));

/** The value of a hexadecimal digit; 0xFF for any other byte. */
export const HEX: Uint8Array = table((byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? 0xff : value;
});

// Borrowed, so that any Uint8Array decodes in one native call; TextDecoder's "latin1" is windows-1252.
const { latin1Slice } = Buffer.prototype as Buffer & {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
};

/** Bytes as a string of one character each. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}

/** Up to this a copy costs less than a view, which makes the memory behind it an object of its own. */
const COPIED = 512;

/** The bytes from `start` to `end`: a view, or a copy where there are few. */
export function partOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (end - start > COPIED) return bytes.subarray(start, end);
  const part = new Uint8Array(end - start);
  copyBytes(bytes, part, 0, start, end);
  return part;
}
