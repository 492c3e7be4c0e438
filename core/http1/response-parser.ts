import { uncheckedHeaders } from "../plugin/headers.ts";
import { SP } from "./bytes.ts";
import { connectionOptions, contentLength, isChunked, listOf, OPTION } from "./field-values.ts";
import { CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE } from "./field-names.ts";
import { CHUNKED, type Framing, NO_BODY, UNTIL_CLOSE } from "./framing.ts";
import { type HeadScanner, returnScanner, takeScanner } from "./head-scanner.ts";
import { MessageError } from "./message-error.ts";
import type { HeadLimits, ResponseHead } from "./message-head.ts";

const VERSION = Buffer.from("HTTP/1.");
/** Where the minor version stands. */
const MINOR = VERSION.byteLength;
const ZERO = 0x30;
const ONE = 0x31;
// The reason phrase says nothing to anybody; it may not be endless.
const STATUS_LINE_MAX = 1024;
// Informational answers before one final answer; each costs work, and none ends the wait.
const INFORMATIONAL_MAX = 100;

/** Reads the heads of answers of one connection, one after the other; a 1xx is a head like the others. */
export class ResponseParser {
  /** May be exchanged between two heads. */
  limits: HeadLimits;
  /** Index in the last `chunk` of the first byte after the head; valid when `parse` answered one. */
  next = 0;
  /** Held only while a head is not complete. */
  #scanner: HeadScanner | undefined;
  /** Informational answers since the last final one. */
  #informational = 0;

  constructor(limits: HeadLimits) {
    this.limits = limits;
  }

  /** Whether a part of a head is in. */
  get started(): boolean {
    return this.#scanner !== undefined && this.#scanner.started;
  }

  /**
   * As {@link RequestParser.parse}; `requestMethod` decides whether there is a body (RFC 9112 §6.3 item 1).
   * @param offered what the request's `Upgrade` named; without it, and for any other protocol, 101 is an error. With
   * it, 101 is a final answer, and the bytes behind its head are the other protocol's.
   * @throws MessageError
   */
  parse(chunk: Uint8Array, from: number, requestMethod: string, offered?: string): ResponseHead | undefined {
    let scanner = this.#scanner;
    if (scanner === undefined) {
      scanner = takeScanner();
      this.#scanner = scanner;
      scanner.beginResponse(this.limits, STATUS_LINE_MAX);
    }
    if (!scanner.feed(chunk, from)) return undefined;
    this.#scanner = undefined;
    this.next = scanner.next;
    try {
      const read = head(scanner, requestMethod, offered);
      if (read.status >= 200 || read.status === 101) this.#informational = 0;
      else if (++this.#informational > INFORMATIONAL_MAX) {
        throw bad("informational", "too many informational answers");
      }
      return read;
    } finally {
      returnScanner(scanner);
    }
  }
}

function head(scanner: HeadScanner, requestMethod: string, offered: string | undefined): ResponseHead {
  const status = statusOf(scanner.bytes, scanner.origin, scanner.startLength);
  const version = scanner.bytes[scanner.origin + MINOR] === ONE ? "1.1" : "1.0";

  const flat: string[] = [];
  let length: number | undefined;
  let coding: string | undefined;
  let upgrade: string | undefined;
  let options = 0;
  for (let i = 0; i < scanner.count; i++) {
    const value = scanner.value(i);
    switch (scanner.nameId(i)) {
      case CONTENT_LENGTH:
        if (length !== undefined) throw bad("content_length.duplicate", "more than one Content-Length");
        length = contentLength(value);
        if (length < 0) throw bad("content_length", "an illegal Content-Length");
        break;
      case TRANSFER_ENCODING:
        if (coding !== undefined) throw bad("transfer_encoding.duplicate", "more than one Transfer-Encoding");
        coding = value;
        continue;
      case CONNECTION:
        options |= connectionOptions(value);
        break;
      case UPGRADE:
        upgrade = upgrade === undefined ? value : `${upgrade}, ${value}`;
        break;
    }
    flat.push(scanner.name(i), value);
  }

  // RFC 9112 §6.1: a client must not trust framing that says both, nor chunked from HTTP/1.0.
  if (coding !== undefined) {
    if (length !== undefined) throw bad("framing.both", "both Content-Length and Transfer-Encoding");
    if (version === "1.0") throw bad("transfer_encoding", "Transfer-Encoding in HTTP/1.0");
    if (!isChunked(coding)) throw bad("transfer_encoding", "a transfer coding other than chunked");
  }
  if (status < 200) {
    // RFC 9110 §15.2 and §8.6: whoever believes the framing and whoever does not disagree about what follows.
    if (coding !== undefined || (length ?? 0) > 0)
      throw bad("informational", "an informational answer with a body");
    if (status === 101) checkSwitch(version, upgrade, offered);
  }
  const framing = framingOf(status, requestMethod, length, coding);
  const persistent =
    version === "1.1"
      ? (options & OPTION.close) === 0
      : (options & (OPTION.close | OPTION.keepAlive)) === OPTION.keepAlive;
  // RFC 9110 §8.6, RFC 9112 §6.1: 204 carries no framing; bytes that follow it all the same are a trap.
  const trap = status === 204 && (coding !== undefined || (length ?? 0) > 0);
  return {
    status,
    version,
    headers: uncheckedHeaders(flat),
    framing,
    keepAlive: persistent && framing !== UNTIL_CLOSE && !trap,
  };
}

/** RFC 9112 §4: `HTTP-version SP status-code SP [reason]`; servers that leave the last space out are forgiven. */
function statusOf(bytes: Uint8Array, start: number, length: number): number {
  for (let i = 0; i < MINOR; i++) {
    if (bytes[start + i] !== VERSION[i]) throw bad("status_line", "not an HTTP/1 status line");
  }
  if (length < 12) throw bad("status_line", "not an HTTP/1 status line");
  const minor = bytes[start + MINOR];
  if (minor !== ONE && minor !== ZERO) throw bad("status_line", "an HTTP version that is not spoken here");
  if (bytes[start + 8] !== SP || (length > 12 && bytes[start + 12] !== SP))
    throw bad("status_line", "an illegal status line");
  let status = 0;
  for (let i = start + 9; i < start + 12; i++) {
    const digit = bytes[i]! - ZERO;
    if (digit < 0 || digit > 9) throw bad("status_line", "an illegal status code");
    status = status * 10 + digit;
  }
  if (status < 100) throw bad("status_line", "an illegal status code");
  return status;
}

/** RFC 9110 §7.8: only to a protocol that the client offered. */
function checkSwitch(version: "1.0" | "1.1", upgrade: string | undefined, offered: string | undefined): void {
  if (offered === undefined || version === "1.0") throw bad("upgrade", "it switched protocols unasked");
  const offers = listOf(offered.toLowerCase());
  if (upgrade === undefined || !listOf(upgrade.toLowerCase()).every((name) => offers.includes(name))) {
    throw bad("upgrade", "it switched to a protocol that nobody offered");
  }
}

/** RFC 9112 §6.3. */
function framingOf(
  status: number,
  requestMethod: string,
  length: number | undefined,
  coding: string | undefined,
): Framing {
  if (status === 101) return UNTIL_CLOSE;
  if (requestMethod === "HEAD" || status < 200 || status === 204 || status === 304) return NO_BODY;
  if (coding !== undefined) return CHUNKED;
  return length ?? UNTIL_CLOSE;
}

function bad(reason: string, what: string): MessageError {
  return new MessageError("bad_request", `malformed.${reason}`, `malformed answer: ${what}`);
}
