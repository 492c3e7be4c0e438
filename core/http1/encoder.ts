import type { HeaderList } from "sluice/plugin";
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

// What a plugin or a rewrite made of a target must not become a second request.
const UNSAFE = /[^\x21-\x7e]/;

/**
 * A request's head, and `body` behind it where that is at hand, for one write; with framing `CHUNKED` it is one chunk.
 * Header values are latin-1 as in {@link HeaderList}.
 * @throws TypeError for white space, a control byte or non-ASCII in method, target or authority.
 */
export function encodeRequest(parts: RequestHeadParts, body?: Uint8Array): Encoded {
  const { method, target, authority, headers, framing, connection } = parts;
  if (UNSAFE.test(target) || UNSAFE.test(method) || UNSAFE.test(authority)) {
    throw new TypeError("a byte that may not stand in a request line or Host");
  }
  const { flat } = headers;
  begin(method.length + target.length + authority.length + sizeOf(flat) + (body?.byteLength ?? 0));
  put(method);
  buffer[at++] = SP;
  put(target);
  put(" HTTP/1.1\r\nhost: ");
  put(authority);
  endLine();
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (name !== "host" && !isFraming(name)) putField(name, flat[i + 1]!);
  }
  return finish(framing, connection, body);
}

/** An answer's head, likewise. The status line says HTTP/1.1 to HTTP/1.0 clients, too (RFC 9110 §2.5). */
export function encodeResponse(parts: ResponseHeadParts, body?: Uint8Array): Encoded {
  const { status, headers, framing, connection, date } = parts;
  const { flat } = headers;
  begin(sizeOf(flat) + (body?.byteLength ?? 0));
  put(statusLine(status));
  let dated = date === "";
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (isFraming(name)) continue;
    if (name === "date") dated = true;
    putField(name, flat[i + 1]!);
  }
  if (!dated) putField("date", date);
  return finish(framing, connection, body);
}

/** Pieces of a message behind its head, in one array; undefined where they are too many bytes for that. */
export function gather(pieces: readonly (string | Uint8Array)[], bytes: number): Encoded | undefined {
  if (bytes > ROOM) return undefined;
  begin(0);
  for (const piece of pieces) {
    if (typeof piece === "string") put(piece);
    else putBytes(piece);
  }
  return encoded();
}

// One buffer for the process: what is encoded is written before anything else runs, and the system call copies it.
const ROOM = 192 * 1024;
const SHARED: Uint8Array = new Uint8Array(ROOM);
const RESULT: { bytes: Uint8Array; length: number } = { bytes: SHARED, length: 0 };
let buffer = SHARED;
let at = 0;

/** Beside what a head's parts hold: the status line, the lines that are added, line ends. */
const EXTRA = 1024;
/** Up to this a loop over the characters is faster than the call that writes them. */
const LOOP = 64;

// Borrowed: it writes to any Uint8Array.
const { latin1Write } = Buffer.prototype as Buffer & {
  latin1Write(this: Uint8Array, text: string, offset: number): number;
};

function begin(size: number): void {
  at = 0;
  const needed = size + EXTRA;
  buffer = needed <= ROOM ? SHARED : new Uint8Array(needed);
}

function sizeOf(flat: readonly string[]): number {
  let size = flat.length * 2;
  for (let i = 0; i < flat.length; i++) size += flat[i]!.length;
  return size;
}

function put(text: string): void {
  const { length } = text;
  if (length > LOOP) latin1Write.call(buffer, text, at);
  else for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i);
  at += length;
}

function putField(name: string, value: string): void {
  put(name);
  buffer[at++] = COLON;
  buffer[at++] = SP;
  put(value);
  endLine();
}

function endLine(): void {
  buffer[at++] = CR;
  buffer[at++] = LF;
}

function finish(framing: Framing, connection: string, body: Uint8Array | undefined): Encoded {
  if (framing >= 0) putField("content-length", String(framing));
  else if (framing === CHUNKED) putField("transfer-encoding", "chunked");
  if (connection !== "") putField("connection", connection);
  endLine();
  if (body === undefined || body.byteLength === 0) return encoded();
  if (framing === CHUNKED) putChunk(body);
  else putBytes(body);
  return encoded();
}

function putChunk(bytes: Uint8Array): void {
  put(chunkHead(bytes.byteLength));
  putBytes(bytes);
  endLine();
}

function putBytes(bytes: Uint8Array): void {
  buffer.set(bytes, at);
  at += bytes.byteLength;
}

function encoded(): Encoded {
  RESULT.bytes = buffer;
  RESULT.length = at;
  buffer = SHARED;
  return RESULT;
}

function isFraming(name: string): boolean {
  return name === "content-length" || name === "transfer-encoding" || name === "connection";
}

/** `bytes` as one chunk of chunked coding (RFC 9112 §7.1). `bytes` must not be empty. */
export function encodeChunk(bytes: Uint8Array): Encoded {
  begin(bytes.byteLength);
  putChunk(bytes);
  return encoded();
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
