import type { ErrorCode, FailureOwner, SluiceError } from "sluice/plugin";
import { ERROR_CODES } from "sluice/plugin";

/** A failure, as far as `Proxy-Status` tells of it. */
export type Told = Pick<SluiceError, "code" | "reason"> & { readonly cause?: unknown };

/** Proxy error types (RFC 9209 §2.3) of the failure classes that have one of their own. */
const BY_REASON = new Map([
  ["connect", "destination_unavailable"],
  ["timeout.connect", "connection_timeout"],
  ["tls", "tls_protocol_error"],
  ["reset", "connection_terminated"],
  ["protocol", "http_protocol_error"],
  ["timeout.first_byte", "http_response_timeout"],
  ["timeout.idle", "connection_read_timeout"],
  ["timeout.request", "http_response_timeout"],
  ["timeout.deadline", "http_response_timeout"],
  ["overflow", "connection_limit_reached"],
  ["bulkhead", "connection_limit_reached"],
  ["no_target", "destination_unavailable"],
  ["circuit_open", "destination_unavailable"],
  ["dns", "dns_error"],
  ["loop", "proxy_loop_detected"],
  ["no_route", "destination_not_found"],
  ["no_candidate", "proxy_configuration_error"],
  ["unknown_upstream", "proxy_configuration_error"],
]);

/** What the platform or the codec said underneath, where that is finer. */
const BY_CAUSE: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, "connection_refused"],
  [/^(?:EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/, "destination_ip_unroutable"],
  [/^(?:ENOTFOUND|EAI_|DNS_)/, "dns_error"],
  [
    /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|INVALID_CA|HOSTNAME_MISMATCH|ERR_TLS_CERT)/,
    "tls_certificate_error",
  ],
  [/^headers_too_large$/, "http_response_header_section_size"],
];

const BY_CODE: Partial<Record<ErrorCode, string>> = {
  unauthenticated: "http_request_denied",
  forbidden: "http_request_denied",
  rate_limited: "http_request_denied",
  unavailable: "destination_unavailable",
  draining: "proxy_internal_response",
};

const BY_OWNER: Record<FailureOwner, string> = {
  client: "http_request_error",
  upstream: "http_protocol_error",
  plugin: "proxy_internal_error",
  gateway: "proxy_internal_error",
};

/**
 * The value of `Proxy-Status` (RFC 9209) for an answer that the gateway made because of `failure`: who, the type of
 * the error, and the failure class as `details`. It names no address.
 * @param pseudonym as in `Via`; a token.
 */
export function proxyStatus(pseudonym: string, failure: Told): string {
  const details = /^[ -~]+$/.test(failure.reason)
    ? `; details="${failure.reason.replace(/["\\]/g, "\\$&")}"`
    : "";
  return `${pseudonym}; error=${errorType(failure)}${details}`;
}

function errorType({ code, reason, cause }: Told): string {
  const known = BY_REASON.get(reason);
  if (known === undefined) return BY_CODE[code] ?? BY_OWNER[ERROR_CODES[code].owner];
  const name = codeOf(cause);
  if (name === "") return known;
  return BY_CAUSE.find(([pattern]) => pattern.test(name))?.[1] ?? known;
}

function codeOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : "";
}
