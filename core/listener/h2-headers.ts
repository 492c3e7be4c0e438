import { HeaderList } from "sluice/plugin";
import type { Limits } from "../../config/types.ts";
import { isAuthority } from "../http1/authority.ts";
import { IN_TARGET } from "../http1/bytes.ts";
import { contentLength } from "../http1/field-values.ts";
import { MessageError } from "../http1/message-error.ts";
import { isForbiddenTrailer } from "../http1/trailers.ts";
import {
  ENHANCE_YOUR_CALM,
  isConnectionSpecific,
  isGrpcType,
  PADDED_VALUE,
  PROTOCOL_ERROR,
  StreamError,
  TOO_LARGE,
} from "../http2/index.ts";
import { TOKEN, uncheckedHeaders } from "../plugin/headers.ts";

/** A field line in HTTP/1.1 has a colon, a space and CRLF besides: one limit for both protocols. */
const FIELD_OVERHEAD = 4;
/** RFC 9113 §6.5.2. */
const LIST_OVERHEAD = 32;
/** `:method`, `:scheme`, `:path` and `:authority` in that list without the target and the host, and a long method. */
const PSEUDO_HEADERS = 4 * LIST_OVERHEAD + ":method:scheme:path:authorityhttps".length + 32;
const SPACE = 0x20;
const SLASH = 0x2f;
const COLON = 0x3a;
const DELETE = 0x7f;

/** The size of the largest header list that is within the limits, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
export function largestHeaderList({ headerBytes, headerCount, url }: Limits): number {
  return headerBytes + url + headerCount * (LIST_OVERHEAD - FIELD_OVERHEAD) + PSEUDO_HEADERS;
}

/** A request's header block as the gateway takes it. */
export class H2RequestHead {
  method = "";
  target = "";
  authority = "";
  /** Without pseudo-headers, `host`, `content-length`, `expect` and names with an underscore; one `cookie`. */
  headers: HeaderList = new HeaderList();
  contentLength: number | undefined;
  expectContinue = false;
  /** See {@link isGrpcType}. */
  grpc = false;
  #scheme: string | undefined;
  #authority: string | undefined;
  #host: string | undefined;
  #expect: string | undefined;
  /** Of the regular fields, and of the authority. */
  #bytes = 0;
  #count = 0;

  /**
   * Reads the fields, of which what is said remains if it throws.
   * @param flat names and values alternating; it becomes `headers`
   * @param flaw of the block, see `flawOf`
   * @param end whether the block ends the stream
   * @throws StreamError where RFC 9113 §8.2 and §8.3 call it malformed
   * @throws MessageError for a request that is to be answered with an error
   */
  read(flat: string[], flaw: string | undefined, end: boolean, limits: Limits): void {
    if (flaw === TOO_LARGE) throw new StreamError(ENHANCE_YOUR_CALM, flaw);
    if (flaw !== undefined && flaw !== PADDED_VALUE) throw malformed(flaw);
    this.#fields(flat, this.#pseudoHeaders(flat));
    this.#checkPseudoHeaders();
    if (this.#count > limits.headerCount) {
      throw new MessageError("headers_too_large", "limits.header_count", "too many header fields");
    }
    if (this.#bytes > limits.headerBytes) {
      throw new MessageError("headers_too_large", "limits.header_bytes", "the header block is too large");
    }
    if (flaw !== undefined) throw bad("field_value", flaw);
    if (this.method === "CONNECT") {
      throw new MessageError("not_implemented", "method.connect", "CONNECT is not served here");
    }
    if (this.target.length > limits.url) {
      throw new MessageError("uri_too_long", "limits.url", "the request target is too long");
    }
    checkTarget(this.target, this.method);
    if (this.#scheme !== "http" && this.#scheme !== "https")
      throw bad("scheme", "a scheme other than http and https");
    this.#checkAuthority();
    this.#checkContent(end, limits);
    this.headers = uncheckedHeaders(flat);
  }

  /** RFC 9113 §8.3: they come first, each at most once. @returns where the fields begin */
  #pseudoHeaders(flat: readonly string[]): number {
    let seen = 0;
    let at = 0;
    for (; at < flat.length && flat[at]!.charCodeAt(0) === COLON; at += 2) {
      const value = flat[at + 1]!;
      let bit: number;
      switch (flat[at]) {
        case ":method":
          bit = 1;
          this.method = value;
          break;
        case ":path":
          bit = 2;
          this.target = value;
          break;
        case ":scheme":
          bit = 4;
          this.#scheme = value;
          break;
        case ":authority":
          bit = 8;
          this.#authority = value;
          this.#bytes += value.length;
          break;
        default:
          throw malformed("an unknown pseudo-header");
      }
      if ((seen & bit) !== 0) throw malformed("a pseudo-header that comes twice");
      seen |= bit;
    }
    return at;
  }

  /** Takes out what is not for `headers`, from the `first` on. */
  #fields(flat: string[], first: number): void {
    let to = 0;
    let cookieAt = -1;
    for (let at = first; at < flat.length; at += 2) {
      const name = flat[at]!;
      const value = flat[at + 1]!;
      this.#bytes += name.length + value.length + FIELD_OVERHEAD;
      this.#count++;
      switch (name) {
        case "host":
          // RFC 9110 §7.2.
          if (this.#host !== undefined) throw bad("host", "more than one Host");
          this.#host = value;
          continue;
        case "content-length":
          if (this.contentLength !== undefined) throw malformed("more than one Content-Length");
          this.contentLength = contentLength(value);
          continue;
        case "expect":
          this.#expect = this.#expect === undefined ? value : `${this.#expect}, ${value}`;
          continue;
        case "cookie":
          // RFC 9113 §8.2.3: crumbs become one field again.
          if (cookieAt >= 0) {
            flat[cookieAt] += `; ${value}`;
            continue;
          }
          cookieAt = to + 1;
          break;
        case "content-type":
          this.grpc = isGrpcType(value);
          break;
        case "te":
          // RFC 9113 §8.2.2.
          if (value !== "trailers" && value.toLowerCase() !== "trailers")
            throw malformed("a TE other than trailers");
          break;
        default:
          if (isConnectionSpecific(name)) throw malformed("a field of HTTP/1.1 connections");
          if (name.charCodeAt(0) === COLON) throw malformed("a pseudo-header behind a field");
          // Applications that see CGI-like names cannot tell a_b from a-b, so nobody may smuggle one as the other.
          if (name.includes("_")) continue;
      }
      flat[to++] = name;
      flat[to++] = value;
    }
    flat.length = to;
  }

  /** RFC 9113 §8.3.1, §8.5. */
  #checkPseudoHeaders(): void {
    const { method, target } = this;
    if (!isToken(method)) throw malformed("no method, or an illegal one");
    if (method === "CONNECT") {
      if (this.#authority === undefined || target !== "" || this.#scheme !== undefined)
        throw malformed("a CONNECT that is none");
      return;
    }
    if (target === "") throw malformed("no :path");
    if (this.#scheme === undefined) throw malformed("no :scheme");
    if (this.#authority === undefined && this.#host === undefined) throw malformed("no host");
  }

  #checkAuthority(): void {
    const authority = this.#authority;
    const host = this.#host;
    // RFC 9113 §8.3.1: a Host that names another place than :authority makes the request malformed.
    if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
      throw bad("host.mismatch", "host and :authority name different hosts");
    }
    this.authority = authority ?? host ?? "";
    if (this.authority === lastGood) return;
    if (!isAuthority(this.authority)) {
      if (authority !== undefined) throw malformed("an illegal :authority");
      throw bad("host", "an illegal host");
    }
    lastGood = this.authority;
  }

  #checkContent(end: boolean, limits: Limits): void {
    const expect = this.#expect;
    if (expect !== undefined && expect.toLowerCase() !== "100-continue") {
      throw new MessageError("expectation_failed", "expect", "only Expect: 100-continue is served here");
    }
    this.expectContinue = expect !== undefined;
    const length = this.contentLength;
    if (length === undefined) return;
    // RFC 9113 §8.1.1.
    if (length < 0 || (end && length > 0)) throw malformed("a Content-Length that is none");
    if (length > limits.body) {
      throw new MessageError("payload_too_large", "limits.body", "the body is too large");
    }
  }
}

/** Trailer fields of a request, without those that a trailer section may not hold; undefined where one is malformed. */
export function readTrailers(
  flat: readonly string[],
  flaw: string | undefined,
  limits: Limits,
): HeaderList | undefined {
  if (flaw !== undefined || flat.length > limits.headerCount * 2) return undefined;
  let bytes = 0;
  const kept: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    const value = flat[i + 1]!;
    bytes += name.length + value.length + FIELD_OVERHEAD;
    if (!name.includes("_") && !isForbiddenTrailer(name)) kept.push(name, value);
  }
  return bytes > limits.headerBytes ? undefined : uncheckedHeaders(kept);
}

/** RFC 9113 §8.3.1: what no path has at all makes a request malformed; the rest is refused by us. */
function checkTarget(target: string, method: string): void {
  for (let i = 0; i < target.length; i++) {
    const byte = target.charCodeAt(i);
    if (IN_TARGET[byte] === 1) continue;
    if (byte <= SPACE || byte === DELETE) throw malformed("an illegal byte in :path");
    throw bad("target", "an illegal byte in :path");
  }
  if (target.charCodeAt(0) === SLASH || (target === "*" && method === "OPTIONS")) return;
  throw bad("target", ":path is no path");
}

// Nearly every request of a process names the same few hosts.
let lastGood = "";

function isToken(method: string): boolean {
  return method === "POST" || method === "GET" || TOKEN.test(method);
}

function malformed(what: string): StreamError {
  return new StreamError(PROTOCOL_ERROR, what);
}

function bad(reason: string, what: string): MessageError {
  return new MessageError("bad_request", `malformed.${reason}`, `malformed request: ${what}`);
}
