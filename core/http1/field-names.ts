import { TOKEN_LOWER } from "./bytes.ts";

/*
 * Names that are seen all the time are recognised from their bytes: no slice, no toLowerCase, one string each
 * for the whole process. The first ones are those that a parser must act on; their index is their number.
 */
export const HOST = 0;
export const CONTENT_LENGTH = 1;
export const TRANSFER_ENCODING = 2;
export const CONNECTION = 3;
export const EXPECT = 4;
export const UPGRADE = 5;

/** Lower-case field names by number. */
export const KNOWN_NAMES: readonly string[] = [
  "host content-length transfer-encoding connection expect upgrade",
  "accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials",
  "access-control-allow-headers access-control-allow-methods access-control-allow-origin",
  "access-control-expose-headers access-control-max-age access-control-request-headers",
  "access-control-request-method age allow alt-svc anthropic-version authorization baggage cache-control",
  "cache-status cdn-cache-control content-disposition content-encoding content-language content-location",
  "content-range content-security-policy content-type cookie date dnt etag expires forwarded from",
  "grpc-accept-encoding grpc-encoding grpc-message grpc-status grpc-timeout idempotency-key if-match",
  "if-modified-since if-none-match if-range if-unmodified-since keep-alive last-modified link location",
  "max-forwards nel origin permissions-policy pragma priority proxy-authenticate proxy-authorization",
  "proxy-connection proxy-status range ratelimit ratelimit-policy referer referrer-policy report-to retry-after",
  "save-data sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site",
  "sec-fetch-user sec-websocket-accept sec-websocket-extensions sec-websocket-key sec-websocket-protocol",
  "sec-websocket-version server server-timing set-cookie strict-transport-security surrogate-control te",
  "timing-allow-origin traceparent tracestate trailer upgrade-insecure-requests user-agent vary via",
  "www-authenticate x-amzn-trace-id x-api-key x-cache x-content-type-options x-correlation-id x-forwarded-for",
  "x-forwarded-host x-forwarded-port x-forwarded-proto x-frame-options x-powered-by x-real-ip x-request-id",
  "x-requested-with x-trace-id x-xss-protection",
].flatMap((line) => line.split(" "));

const SLOTS = 1024;
const FIRST = new Int16Array(SLOTS).fill(-1);
const NEXT = new Int16Array(KNOWN_NAMES.length).fill(-1);
const LENGTHS = Uint8Array.from(KNOWN_NAMES, (name) => name.length);
const STRIDE = Math.max(...LENGTHS);
const BYTES = new Uint8Array(KNOWN_NAMES.length * STRIDE);

function slotOf(length: number, first: number, last: number): number {
  return (length * 61 + first * 31 + last * 7) & (SLOTS - 1);
}

for (const [id, name] of KNOWN_NAMES.entries()) {
  for (let i = 0; i < name.length; i++) BYTES[id * STRIDE + i] = name.charCodeAt(i);
  const slot = slotOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length - 1));
  NEXT[id] = FIRST[slot]!;
  FIRST[slot] = id;
}

/** The number of the name that stands at `start` … `end` in any case; -1 for one that is not known. */
export function knownName(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const slot = slotOf(length, TOKEN_LOWER[bytes[start]!]!, TOKEN_LOWER[bytes[end - 1]!]!);
  next: for (let id = FIRST[slot]!; id >= 0; id = NEXT[id]!) {
    if (LENGTHS[id] !== length) continue;
    const at = id * STRIDE;
    for (let i = 0; i < length; i++) {
      if (BYTES[at + i] !== TOKEN_LOWER[bytes[start + i]!]) continue next;
    }
    return id;
  }
  return -1;
}
