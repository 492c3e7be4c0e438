import { BytesBody, type HeaderList } from "sluice/plugin";
import { COLON, CR, LF, SP } from "./bytes.ts";
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

/** Bytes to write at once: the next call of an encoder uses the same memory. */
export interface Encoded {
  /** Its first `length` bytes are what was encoded. */
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** A copy of what was encoded, to keep. */
export function copyOf({ bytes, length }: Encoded): Uint8Array {
  return bytes.slice(0, length);
}

/**
 * A request's head, and `body` behind it where that is at hand, for one write; with framing `CHUNKED` it is one chunk.
 * Header values are latin-1 as in {@link HeaderList}.
 * @throws TypeError for white space, a control byte or non-ASCII in method, target or authority.
 */
export function encodeRequest(parts: RequestHeadParts, body?: Uint8Array): Encoded {
  const { method, target, authority, headers, framing, connection } = parts;
  if (!isSafe(target) || !isSafe(method) || !isSafe(authority)) {
    throw new TypeError("a byte that may not stand in a request line or Host");
  }
  const { flat } = headers;
  const out = room(method.length + target.length + authority.length + sizeOf(flat) + (body?.byteLength ?? 0));
  let at = put(out, 0, method);
  out[at++] = SP;
  at = put(out, at, target);
  at = put(out, at, " HTTP/1.1\r\n");
  at = putField(out, at, "host", authority);
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (name !== "host" && !isFraming(name)) at = putField(out, at, name, flat[i + 1]!);
  }
  return finish(out, at, framing, connection, body);
}

/** An answer's head, likewise. The status line says HTTP/1.1 to HTTP/1.0 clients, too (RFC 9110 §2.5). */
export function encodeResponse(parts: ResponseHeadParts, body?: Uint8Array | BytesBody): Encoded {
  const { status, headers, framing, connection, date } = parts;
  const { flat } = headers;
  const size = body === undefined ? 0 : body instanceof BytesBody ? body.left : body.byteLength;
  const out = room(sizeOf(flat) + size);
  let at = put(out, 0, statusLine(status));
  let dated = date === "";
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (isFraming(name)) continue;
    if (name === "date") dated = true;
    at = putField(out, at, name, flat[i + 1]!);
  }
  if (!dated) at = putField(out, at, "date", date);
  return finish(out, at, framing, connection, body);
}

/** `bytes` as one chunk of chunked coding (RFC 9112 §7.1). `bytes` must not be empty. */
export function encodeChunk(bytes: Uint8Array): Encoded {
  const out = room(bytes.byteLength);
  return encoded(out, putChunk(out, 0, bytes));
}

/** Pieces of a message behind its head, in one array; undefined where they are too many bytes for that. */
export function gather(pieces: readonly (string | Uint8Array)[], bytes: number): Encoded | undefined {
  if (bytes > ROOM) return undefined;
  let at = 0;
  for (const piece of pieces)
    at = typeof piece === "string" ? put(SHARED, at, piece) : putBytes(SHARED, at, piece);
  return encoded(SHARED, at);
}

// One buffer for the process: what is encoded is written before anything else runs, and the system call copies it.
const ROOM = 192 * 1024;
const SHARED: Uint8Array = new Uint8Array(ROOM);
const RESULT: { bytes: Uint8Array; length: number } = { bytes: SHARED, length: 0 };

/** Beside what a head's parts hold: the status line, the lines that are added, line ends. */
const EXTRA = 1024;
/** Up to this a loop over the characters is faster than the call that writes them. */
const LOOP = 64;

// Borrowed: it writes to any Uint8Array.
const { latin1Write } = Buffer.prototype as Buffer & {
  latin1Write(this: Uint8Array, text: string, offset: number): number;
};

/** Memory for `size` bytes and what is added to them. */
function room(size: number): Uint8Array {
  return size + EXTRA <= ROOM ? SHARED : new Uint8Array(size + EXTRA);
}

function sizeOf(flat: readonly string[]): number {
  let size = flat.length * 2;
  for (let i = 0; i < flat.length; i++) size += flat[i]!.length;
  return size;
}

// Those that put something there answer the index behind it.

function put(out: Uint8Array, at: number, text: string): number {
  const { length } = text;
  if (length > LOOP) latin1Write.call(out, text, at);
  else for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i);
  return at + length;
}

function putField(out: Uint8Array, from: number, name: string, value: string): number {
  let at = put(out, from, name);
  out[at++] = COLON;
  out[at++] = SP;
  return putEnd(out, put(out, at, value));
}

function putEnd(out: Uint8Array, at: number): number {
  out[at] = CR;
  out[at + 1] = LF;
  return at + 2;
}

function putBytes(out: Uint8Array, at: number, bytes: Uint8Array): number {
  out.set(bytes, at);
  return at + bytes.byteLength;
}

function putChunk(out: Uint8Array, from: number, bytes: Uint8Array): number {
  const at = put(out, from, chunkHead(bytes.byteLength));
  return putEnd(out, putBytes(out, at, bytes));
}

function finish(
  out: Uint8Array,
  from: number,
  framing: Framing,
  connection: string,
  body: Uint8Array | BytesBody | undefined,
): Encoded {
  let at = from;
  if (framing >= 0) at = putField(out, at, "content-length", String(framing));
  else if (framing === CHUNKED) at = putField(out, at, "transfer-encoding", "chunked");
  if (connection !== "") at = putField(out, at, "connection", connection);
  at = putEnd(out, at);
  if (body instanceof BytesBody) return encoded(out, body.readInto(out, at));
  if (body === undefined || body.byteLength === 0) return encoded(out, at);
  return encoded(out, framing === CHUNKED ? putChunk(out, at, body) : putBytes(out, at, body));
}

function encoded(bytes: Uint8Array, length: number): Encoded {
  RESULT.bytes = bytes;
  RESULT.length = length;
  return RESULT;
}

// What a plugin or a rewrite made of a target must not become a second request.
function isSafe(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= SP || code >= 0x7f) return false;
  }
  return true;
}

function isFraming(name: string): boolean {
  return name === "content-length" || name === "transfer-encoding" || name === "connection";
}

/** The line before a chunk's data; a CRLF goes behind the data. */
export function chunkHead(byteLength: number): string {
  return byteLength < SMALL_CHUNK ? (CHUNK_HEADS[byteLength] ??= sizeLine(byteLength)) : sizeLine(byteLength);
}

function sizeLine(byteLength: number): string {
  return `${byteLength.toString(16)}\r\n`;
}

/** Events and tokens come in such chunks, and one size line does for all of a size. */
const SMALL_CHUNK = 4096;
const CHUNK_HEADS: string[] = [];

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
