import type { HeaderList } from "sluice/plugin";
import type { Limits } from "../../config/types.ts";
import { isAuthority } from "../http1/authority.ts";
import { IN_TARGET } from "../http1/bytes.ts";
import { contentLength } from "../http1/field-values.ts";
import { MessageError } from "../http1/message-error.ts";
import { isForbiddenTrailer } from "../http1/trailers.ts";
import { isGrpcType } from "../http2/grpc-type.ts";
import { uncheckedHeaders } from "../plugin/headers.ts";

/** A request's header block as the gateway takes it. */
export interface H2RequestHead {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  /** Without pseudo-headers, `host`, `content-length`, `expect` and names with an underscore; one `cookie`. */
  readonly headers: HeaderList;
  readonly contentLength: number | undefined;
  readonly expectContinue: boolean;
  /** See {@link isGrpcType}. */
  readonly grpc: boolean;
}

/** A field line in HTTP/1.1 has a colon, a space and CRLF besides: one limit for both protocols. */
const FIELD_OVERHEAD = 4;
/** RFC 9113 §6.5.2. */
const LIST_OVERHEAD = 32;
/** `:method`, `:scheme`, `:path` and `:authority` in that list without the target and the host, and a long method. */
const PSEUDO_HEADERS = 4 * LIST_OVERHEAD + ":method:scheme:path:authorityhttps".length + 32;
const SLASH = 0x2f;
const COLON = 0x3a;

/** The size of the largest header list that is within the limits, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
export function largestHeaderList({ headerBytes, headerCount, url }: Limits): number {
  return headerBytes + url + headerCount * (LIST_OVERHEAD - FIELD_OVERHEAD) + PSEUDO_HEADERS;
}

/**
 * Reads a request's fields, `raw` as `node:http2` hands them over: it has reset what breaks RFC 9113 §8.2 and
 * §8.3 already (pseudo-headers missing, doubled or late, connection-specific fields, bytes that no name or value
 * may have).
 * @throws MessageError for a request that is to be answered with an error
 */
export function readRequestHead(raw: readonly string[], limits: Limits): H2RequestHead {
  let method = "";
  let target = "";
  let scheme = "";
  let authority: string | undefined;
  let host: string | undefined;
  let length: number | undefined;
  let expect: string | undefined;
  let grpc = false;
  let bytes = 0;
  let count = 0;
  let cookieAt = -1;
  let spaced = false;
  const flat: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (name.charCodeAt(0) === COLON) {
      if (name === ":method") method = value;
      else if (name === ":path") target = value;
      else if (name === ":scheme") scheme = value;
      else {
        authority = value;
        bytes += value.length;
      }
      continue;
    }
    bytes += name.length + value.length + FIELD_OVERHEAD;
    count++;
    if (hasOuterSpace(value)) spaced = true;
    switch (name) {
      case "host":
        host = value;
        continue;
      case "content-length":
        length = contentLength(value);
        continue;
      case "expect":
        expect = expect === undefined ? value : `${expect}, ${value}`;
        continue;
      case "cookie":
        // RFC 9113 §8.2.3: crumbs become one field again.
        if (cookieAt >= 0) {
          flat[cookieAt] += `; ${value}`;
          continue;
        }
        cookieAt = flat.length + 1;
        break;
      case "content-type":
        grpc = isGrpcType(value);
        break;
      default:
        // Applications that see CGI-like names cannot tell a_b from a-b, so nobody may smuggle one as the other.
        if (name.includes("_")) continue;
    }
    flat.push(name, value);
  }

  if (count > limits.headerCount) {
    throw new MessageError("headers_too_large", "limits.header_count", "too many header fields");
  }
  if (bytes > limits.headerBytes) {
    throw new MessageError("headers_too_large", "limits.header_bytes", "the header block is too large");
  }
  if (spaced) throw bad("field_value", "white space around a field value");
  if (method === "CONNECT") {
    throw new MessageError("not_implemented", "method.connect", "CONNECT is not served here");
  }
  if (target.length > limits.url) {
    throw new MessageError("uri_too_long", "limits.url", "the request target is too long");
  }
  checkTarget(target, method);
  if (scheme !== "http" && scheme !== "https") throw bad("scheme", "a scheme other than http and https");
  // RFC 9113 §8.3.1: a Host that names another place than :authority makes the request malformed.
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    throw bad("host.mismatch", "host and :authority name different hosts");
  }
  authority ??= host ?? "";
  checkAuthority(authority);
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") {
    throw new MessageError("expectation_failed", "expect", "only Expect: 100-continue is served here");
  }
  if (length !== undefined && length < 0) throw bad("content_length", "an illegal Content-Length");
  if (length !== undefined && length > limits.body) {
    throw new MessageError("payload_too_large", "limits.body", "the body is too large");
  }
  return {
    method,
    target,
    authority,
    headers: uncheckedHeaders(flat),
    contentLength: length,
    expectContinue: expect !== undefined,
    grpc,
  };
}

/** The value of a field, pseudo-headers included, in a block that was refused. */
export function rawField(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i] === name) return raw[i + 1];
  return undefined;
}

/** Trailer fields of a request, without those that a trailer section may not hold; undefined where one is malformed. */
export function readTrailers(raw: readonly string[], limits: Limits): HeaderList | undefined {
  let bytes = 0;
  const flat: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    bytes += name.length + value.length + FIELD_OVERHEAD;
    if (hasOuterSpace(value)) return undefined;
    if (!name.includes("_") && !isForbiddenTrailer(name)) flat.push(name, value);
  }
  if (raw.length > limits.headerCount * 2 || bytes > limits.headerBytes) return undefined;
  return uncheckedHeaders(flat);
}

/** An answer's fields for `stream.respond`, names and values alternating. */
export function answerFields(
  status: number,
  headers: HeaderList,
  length: number | undefined,
  keepLength: boolean,
  date: string,
): string[] {
  const flat = headers.flat;
  const fields: string[] = [":status", String(status)];
  let dated = false;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (name === "content-length" ? !keepLength : isConnectionSpecific(name)) continue;
    if (name === "date") dated = true;
    fields.push(name, flat[i + 1]!);
  }
  if (length !== undefined) fields.push("content-length", String(length));
  if (!dated) fields.push("date", date);
  return fields;
}

/** Fields as `additionalHeaders` and `sendTrailers` want them; names that come twice have lists. */
export type FieldObject = Record<string, string | string[] | number>;

/** An informational answer's fields. */
export function informObject(status: number, headers: HeaderList): FieldObject {
  const fields = fieldObject(headers, isConnectionSpecific);
  fields[":status"] = status;
  return fields;
}

/** An answer's trailer fields, without those that a trailer section may not hold. */
export function trailerObject(trailers: HeaderList): FieldObject {
  return fieldObject(trailers, isForbiddenTrailer);
}

function fieldObject(headers: HeaderList, drops: (name: string) => boolean): FieldObject {
  const flat = headers.flat;
  // Without a prototype: a field may be called `constructor` or `__proto__`.
  const fields = Object.create(null) as Record<string, string | string[]>;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (drops(name)) continue;
    const before = fields[name];
    if (before === undefined) fields[name] = flat[i + 1]!;
    else if (typeof before === "string") fields[name] = [before, flat[i + 1]!];
    else before.push(flat[i + 1]!);
  }
  return fields;
}

/** RFC 9113 §8.2.2: fields that speak of an HTTP/1.1 connection make an HTTP/2 message malformed. */
function isConnectionSpecific(name: string): boolean {
  switch (name) {
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
      return true;
    default:
      return false;
  }
}

/** RFC 9113 §8.2.1. */
function hasOuterSpace(value: string): boolean {
  if (value.length === 0) return false;
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09;
}

function checkTarget(target: string, method: string): void {
  for (let i = 0; i < target.length; i++) {
    if (IN_TARGET[target.charCodeAt(i)] !== 1) throw bad("target", "an illegal byte in :path");
  }
  if (target.charCodeAt(0) === SLASH || (target === "*" && method === "OPTIONS")) return;
  throw bad("target", ":path is no path");
}

// Nearly every request of a process names the same few hosts.
let lastGood = "";

function checkAuthority(authority: string): void {
  if (authority === lastGood) return;
  if (!isAuthority(authority)) throw bad("host", "an illegal :authority");
  lastGood = authority;
}

function bad(reason: string, what: string): MessageError {
  return new MessageError("bad_request", `malformed.${reason}`, `malformed request: ${what}`);
}
