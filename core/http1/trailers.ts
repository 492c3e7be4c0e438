/*
 * RFC 9110 §6.5.1: a trailer may not frame, route, authenticate, negotiate or otherwise change a message that
 * was already acted upon. gRPC's status, digests and timings pass.
 */
const FORBIDDEN: ReadonlySet<string> = new Set(
  [
    "transfer-encoding content-length host trailer connection keep-alive proxy-connection upgrade te",
    "cache-control expect max-forwards pragma range if-match if-none-match if-modified-since",
    "if-unmodified-since if-range authorization proxy-authorization proxy-authenticate www-authenticate",
    "authentication-info proxy-authentication-info cookie set-cookie age date expires location retry-after vary",
    "content-encoding content-type content-range forwarded via x-forwarded-for x-forwarded-host",
    "x-forwarded-port x-forwarded-proto x-real-ip",
  ].flatMap((line) => line.split(" ")),
);

/** Whether a field of this lower-case name is dropped from a trailer section. */
export function isForbiddenTrailer(name: string): boolean {
  return FORBIDDEN.has(name);
}
