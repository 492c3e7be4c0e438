import type { HeaderList } from "sluice/plugin";
import { CR, LF } from "./bytes.ts";
import { CHUNKED, type Framing } from "./framing.ts";
import { statusLine } from "./status-lines.ts";
import { isForbiddenTrailer } from "./trailers.ts";

export interface RequestHeadParts {
  readonly method: string;
  /** Origin-form. */
  readonly target: string;
  /** For `Host`. */
  readonly authority: string;
  /** Written in order; a `host`, `content-length`, `transfer-encoding` or `connection` in it is left out. */
  readonly headers: HeaderList;
  /** Writes `content-length: n` or `transfer-encoding: chunked`; nothing for `NO_BODY`. */
  readonly framing: Framing;
  /** A value for `Connection`, such as `close` or `upgrade`; "" writes none. */
  readonly connection: string;
}

export interface ResponseHeadParts {
  readonly status: number;
  /** Written in order; a `content-length`, `transfer-encoding` or `connection` in it is left out. */
  readonly headers: HeaderList;
  /** Writes `content-length: n` or `transfer-encoding: chunked`; nothing for `NO_BODY` and `UNTIL_CLOSE`. */
  readonly framing: Framing;
  /** A value for `Connection`, such as `close`, `keep-alive` or `upgrade`; "" writes none. */
  readonly connection: string;
  /** For `Date` where `headers` has none (RFC 9110 §6.6.1); "" writes none. */
  readonly date: string;
}

// What a plugin or a rewrite made of a target must not become a second request.
const UNSAFE = /[^\x21-\x7e]/;

/**
 * A request's head, and `body` behind it where that is at hand, in one array for one write. The array is fresh:
 * it may be kept. Header values are latin-1 as in {@link HeaderList}.
 * @throws TypeError for white space, a control byte or non-ASCII in method, target or authority.
 */
export function encodeRequest(parts: RequestHeadParts, body?: Uint8Array): Uint8Array {
  if (UNSAFE.test(parts.target) || UNSAFE.test(parts.method) || UNSAFE.test(parts.authority)) {
    throw new TypeError("a byte that may not stand in a request line or Host");
  }
  let head = `${parts.method} ${parts.target} HTTP/1.1\r\nhost: ${parts.authority}\r\n`;
  const flat = parts.headers.flat;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (name === "host" || isFraming(name)) continue;
    head += `${name}: ${flat[i + 1]!}\r\n`;
  }
  return withBody(head + framingLines(parts.framing, parts.connection), body);
}

/** An answer's head, likewise. The status line says HTTP/1.1 to HTTP/1.0 clients, too (RFC 9110 §2.5). */
export function encodeResponse(parts: ResponseHeadParts, body?: Uint8Array): Uint8Array {
  let head = statusLine(parts.status);
  let dated = parts.date === "";
  const flat = parts.headers.flat;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (isFraming(name)) continue;
    if (name === "date") dated = true;
    head += `${name}: ${flat[i + 1]!}\r\n`;
  }
  if (!dated) head += `date: ${parts.date}\r\n`;
  return withBody(head + framingLines(parts.framing, parts.connection), body);
}

function isFraming(name: string): boolean {
  return name === "content-length" || name === "transfer-encoding" || name === "connection";
}

function framingLines(framing: Framing, connection: string): string {
  let lines = "";
  if (framing >= 0) lines = `content-length: ${framing}\r\n`;
  else if (framing === CHUNKED) lines = "transfer-encoding: chunked\r\n";
  if (connection !== "") lines += `connection: ${connection}\r\n`;
  return `${lines}\r\n`;
}

function withBody(head: string, body: Uint8Array | undefined): Uint8Array {
  if (body === undefined) return Buffer.from(head, "latin1");
  const bytes = Buffer.allocUnsafe(head.length + body.byteLength);
  bytes.write(head, 0, "latin1");
  bytes.set(body, head.length);
  return bytes;
}

/** `bytes` as one chunk of chunked coding (RFC 9112 §7.1), in a fresh array. `bytes` must not be empty. */
export function encodeChunk(bytes: Uint8Array): Uint8Array {
  const size = chunkHead(bytes.byteLength);
  const chunk = Buffer.allocUnsafe(size.length + bytes.byteLength + 2);
  chunk.write(size, 0, "latin1");
  chunk.set(bytes, size.length);
  chunk[chunk.byteLength - 2] = CR;
  chunk[chunk.byteLength - 1] = LF;
  return chunk;
}

/** The line before a chunk's data; a CRLF goes behind the data. */
export function chunkHead(byteLength: number): string {
  return `${byteLength.toString(16)}\r\n`;
}

const LAST_CHUNK = Buffer.from("0\r\n\r\n");

/**
 * The end of a chunked body: `0`, the trailers, an empty line. Trailers that would change the message are left out
 * (RFC 9110 §6.5.1): HTTP/2 and plugins can bring some. The array may be shared: do not write into it.
 */
export function encodeLastChunk(trailers: HeaderList | undefined): Uint8Array {
  if (trailers === undefined || trailers.size === 0) return LAST_CHUNK;
  let lines = "0\r\n";
  const flat = trailers.flat;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (!isForbiddenTrailer(name)) lines += `${name}: ${flat[i + 1]!}\r\n`;
  }
  return Buffer.from(`${lines}\r\n`, "latin1");
}
