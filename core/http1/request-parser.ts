import { uncheckedHeaders } from "../plugin/headers.ts";
import { authorityOf, isAbsoluteForm, isAuthority, sameAuthority } from "./authority.ts";
import { IN_TARGET, latin1, SP, TOKEN_LOWER } from "./bytes.ts";
import {
  connectionOptions,
  contentLength,
  isChunked,
  isForeignCoding,
  isProtocols,
  OPTION,
} from "./field-values.ts";
import { CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE } from "./field-names.ts";
import { CHUNKED, type Framing, NO_BODY } from "./framing.ts";
import { type HeadScanner, returnScanner, takeScanner } from "./head-scanner.ts";
import { interned } from "./interned.ts";
import { MessageError } from "./message-error.ts";
import type { RequestHead, RequestLimits } from "./message-head.ts";

// A method, two spaces and " HTTP/1.1" beside the target.
const START_LINE_EXTRA = 48;
const SLASH = 0x2f;

/** Reads the request heads of one connection, one after the other. */
export class RequestParser {
  /** May be exchanged between two heads. */
  limits: RequestLimits;
  /** Index in the last `chunk` of the first byte after the head; valid when `parse` answered one. */
  next = 0;
  /** Facts of a head that was refused, as far as they were read; undefined otherwise. */
  method: string | undefined;
  rawTarget: string | undefined;
  version: "1.0" | "1.1" | undefined;
  /** Held only while a head is not complete. */
  #scanner: HeadScanner | undefined;
  // A connection names the same host again and again.
  #checkedHost: string | undefined;

  constructor(limits: RequestLimits) {
    this.limits = limits;
  }

  /** Whether a part of a head is in. */
  get started(): boolean {
    return this.#scanner !== undefined && this.#scanner.started;
  }

  /**
   * Reads on in `chunk` from index `from`. Answers the head once its last byte is in, undefined when more is
   * needed; then every byte was consumed (and copied where it must be kept).
   * @throws MessageError for a head that is refused; the parser is of no use after it.
   */
  parse(chunk: Uint8Array, from: number): RequestHead | undefined {
    let scanner = this.#scanner;
    if (scanner === undefined) {
      scanner = takeScanner();
      this.#scanner = scanner;
      scanner.beginRequest(this.limits, this.limits.url + START_LINE_EXTRA);
      this.method = this.rawTarget = this.version = undefined;
    }
    if (!scanner.feed(chunk, from)) return undefined;
    this.#scanner = undefined;
    this.next = scanner.next;
    try {
      const head = this.#head(scanner);
      this.method = this.rawTarget = this.version = undefined;
      return head;
    } finally {
      returnScanner(scanner);
    }
  }

  #head(scanner: HeadScanner): RequestHead {
    this.#startLine(scanner.bytes, scanner.origin, scanner.origin + scanner.startLength);
    const method = this.method!;
    const rawTarget = this.rawTarget!;
    const version = this.version!;

    const flat: string[] = [];
    let host: string | undefined;
    let length: string | undefined;
    let coding: string | undefined;
    let expect: string | undefined;
    let upgrade: string | undefined;
    let options = 0;
    for (let i = 0; i < scanner.count; i++) {
      const value = scanner.value(i);
      switch (scanner.nameId(i)) {
        case HOST:
          if (host !== undefined) throw bad("host.duplicate", "more than one Host");
          host = value;
          continue;
        case CONTENT_LENGTH:
          if (length !== undefined) throw bad("content_length.duplicate", "more than one Content-Length");
          length = value;
          continue;
        case TRANSFER_ENCODING:
          if (coding !== undefined)
            throw bad("transfer_encoding.duplicate", "more than one Transfer-Encoding");
          coding = value;
          continue;
        case EXPECT:
          expect = expect === undefined ? value : `${expect}, ${value}`;
          continue;
        case CONNECTION:
          options |= connectionOptions(value);
          flat.push("connection", value);
          continue;
        case UPGRADE:
          upgrade = upgrade === undefined ? value : `${upgrade}, ${value}`;
          flat.push("upgrade", value);
          continue;
        case -1: {
          const name = scanner.name(i);
          // Applications that see CGI-like names cannot tell a_b from a-b, so nobody may smuggle one as the other.
          if (!name.includes("_")) flat.push(name, value);
          continue;
        }
        default:
          flat.push(scanner.name(i), value);
      }
    }
    const modern = version === "1.1";
    const framing = framingOf(length, coding, modern);
    return {
      method,
      rawTarget,
      version,
      authority: this.#authority(rawTarget, host, modern),
      headers: uncheckedHeaders(flat),
      framing,
      keepAlive: modern
        ? (options & OPTION.close) === 0
        : (options & (OPTION.close | OPTION.keepAlive)) === OPTION.keepAlive,
      expectContinue: expect !== undefined && modern && expectsContinue(expect),
      // RFC 9110 §7.8: a server may ignore the offer, and one with a body would have to be read to its end first.
      upgrade: modern && (options & OPTION.upgrade) !== 0 && isEmpty(framing) ? legal(upgrade) : undefined,
    };
  }

  /** RFC 9112 §3: `method SP request-target SP HTTP-version`, single spaces, nothing else; `end`: behind it. */
  #startLine(bytes: Uint8Array, start: number, end: number): void {
    let i = start;
    while (i < end && bytes[i] !== SP) i++;
    if (i === start || i === end) throw bad("start_line", "the request line has no target");
    for (let at = start; at < i; at++) {
      if (TOKEN_LOWER[bytes[at]!] === 0) throw bad("method", "the method is not a token");
    }
    const method = (this.method = interned(bytes, start, i));
    const from = ++i;
    while (i < end && IN_TARGET[bytes[i]!] !== 0) i++;
    if (i - from > this.limits.url) {
      throw new MessageError("uri_too_long", "limits.url", "the request target is too long");
    }
    if (i === end) throw bad("start_line", "the request line has no HTTP version");
    if (bytes[i] !== SP) throw bad("target", "an illegal byte in the request target");
    if (i === from) throw bad("start_line", "an empty request target");
    const target = (this.rawTarget = latin1(bytes, from, i));
    this.version = versionOf(bytes, i + 1, end);
    if (method === "CONNECT") {
      throw new MessageError("not_implemented", "method.connect", "CONNECT is not served here");
    }
    // RFC 9112 §3.2: origin-form, absolute-form, or `*` for OPTIONS.
    if (bytes[from] === SLASH || isAbsoluteForm(target)) return;
    if (target === "*" && method === "OPTIONS") return;
    throw bad("target", "a request target that is neither a path nor an http URL");
  }

  /** RFC 9112 §3.2: exactly one Host, and one that the request target agrees with. */
  #authority(rawTarget: string, host: string | undefined, modern: boolean): string {
    const absolute = rawTarget.charCodeAt(0) !== SLASH && rawTarget !== "*";
    if (host === undefined && modern) throw bad("host.missing", "no Host");
    const authority = host ?? (absolute ? authorityOf(rawTarget) : undefined);
    if (authority === undefined) return "";
    if (authority !== this.#checkedHost) {
      if (!isAuthority(authority)) throw bad("host", "an illegal Host");
      this.#checkedHost = authority;
    }
    if (absolute && !sameAuthority(rawTarget, authority)) {
      throw bad("host.mismatch", "Host and request target name different hosts");
    }
    return authority;
  }
}

function legal(upgrade: string | undefined): string | undefined {
  return upgrade !== undefined && isProtocols(upgrade) ? upgrade : undefined;
}

function isEmpty(framing: Framing): boolean {
  return framing === NO_BODY || framing === 0;
}

function versionOf(bytes: Uint8Array, from: number, end: number): "1.0" | "1.1" {
  const version = end - from === 8 ? interned(bytes, from, end) : "";
  if (version === "HTTP/1.1") return "1.1";
  if (version === "HTTP/1.0") return "1.0";
  if (/^HTTP\/[0-9]\.[0-9]$/.test(version)) {
    throw new MessageError("http_version_not_supported", "http_version", `${version} is not served here`);
  }
  throw bad("start_line", "the request line does not end in an HTTP version");
}

/** RFC 9112 §6.3, with everything that was ever used to smuggle a request refused. */
function framingOf(length: string | undefined, coding: string | undefined, modern: boolean): Framing {
  if (coding !== undefined) {
    // RFC 9112 §6.1: both at once, or chunked in HTTP/1.0, is faulty framing.
    if (length !== undefined) throw bad("framing.both", "both Content-Length and Transfer-Encoding");
    if (!modern) throw bad("transfer_encoding", "Transfer-Encoding in HTTP/1.0");
    if (isChunked(coding)) return CHUNKED;
    if (isForeignCoding(coding)) {
      throw new MessageError(
        "not_implemented",
        "transfer_encoding",
        "only the chunked transfer coding is served here",
      );
    }
    throw bad("transfer_encoding", "an illegal Transfer-Encoding");
  }
  if (length === undefined) return NO_BODY;
  const bytes = contentLength(length);
  if (bytes < 0) throw bad("content_length", "an illegal Content-Length");
  return bytes;
}

function expectsContinue(expect: string): true {
  if (expect === "100-continue" || expect.toLowerCase() === "100-continue") return true;
  throw new MessageError("expectation_failed", "expect", "only Expect: 100-continue is served here");
}

function bad(reason: string, what: string): MessageError {
  return new MessageError("bad_request", `malformed.${reason}`, `malformed request: ${what}`);
}
