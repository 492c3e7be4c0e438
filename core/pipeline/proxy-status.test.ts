import { expect, test } from "bun:test";
import { ERROR_CODES, type ErrorCode, SluiceError } from "sluice/plugin";
import { proxyStatus } from "./proxy-status.ts";
import { testGateway } from "./test-gateway.ts";

/** The registered proxy error types (RFC 9209 §2.3). */
const REGISTERED = new Set(
  `dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited
  destination_ip_unroutable connection_refused connection_terminated connection_timeout connection_read_timeout
  connection_write_timeout connection_limit_reached tls_protocol_error tls_certificate_error tls_alert_received
  http_request_error http_request_denied http_response_incomplete http_response_header_section_size
  http_response_header_size http_response_body_size http_response_trailer_section_size http_response_trailer_size
  http_response_transfer_coding http_response_content_coding http_response_timeout http_upgrade_failed
  http_protocol_error proxy_internal_response proxy_internal_error proxy_configuration_error
  proxy_loop_detected`.split(/\s+/),
);

const because = (code: string): Error => Object.assign(new Error(code), { code });

const TYPES: readonly (readonly [reason: string, cause: string | undefined, type: string])[] = [
  ["connect", "ECONNREFUSED", "connection_refused"],
  ["connect", "EHOSTUNREACH", "destination_ip_unroutable"],
  ["connect", "ENOTFOUND", "dns_error"],
  ["connect", undefined, "destination_unavailable"],
  ["tls", "CERT_HAS_EXPIRED", "tls_certificate_error"],
  ["tls", "EPROTO", "tls_protocol_error"],
  ["reset", undefined, "connection_terminated"],
  ["protocol", "headers_too_large", "http_response_header_section_size"],
  ["protocol", undefined, "http_protocol_error"],
];

test.each(TYPES)("%s because of %s is %s", (reason, cause, type) => {
  const failure = new SluiceError("upstream_failed", "no", { reason, cause: cause && because(cause) });
  expect(proxyStatus("sluice-1", failure)).toBe(`sluice-1; error=${type}; details="${reason}"`);
});

test.each(Object.keys(ERROR_CODES) as ErrorCode[])("%s has a registered type", (code) => {
  const value = proxyStatus("s", new SluiceError(code, "no"));
  expect(REGISTERED).toContain(/error=([a-z_]+)/.exec(value)?.[1] ?? "none");
});

test("a plugin's reason cannot break out of its string (RFC 9651 §3.3.3)", () => {
  const told = (reason: string): string => proxyStatus("s", new SluiceError("forbidden", "no", { reason }));
  expect(told('a"; error=x\\')).toBe('s; error=http_request_denied; details="a\\"; error=x\\\\"');
  expect(told("bell\u0007")).toBe("s; error=http_request_denied");
});

test("answers that the gateway makes of a failure have it, and no others", async () => {
  using upstream = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("no", { status: 503 }),
  });
  using gateway = testGateway(
    [
      { path: "/up" },
      {
        path: "/denied",
        steps: [
          () => {
            throw new SluiceError("forbidden", "no", { reason: "acl" });
          },
        ],
      },
      { path: "/own", steps: [(c) => c.text("no", 403)] },
    ],
    { upstream: upstream.url.origin },
  );
  const told = async (path: string): Promise<string | null> =>
    (await gateway.fetch(path)).headers.get("proxy-status");
  expect(await told("/denied")).toBe('sluice-test; error=http_request_denied; details="acl"');
  expect(await told("/nowhere")).toBe('sluice-test; error=destination_not_found; details="no_route"');
  expect(await told("/up")).toBeNull();
  expect(await told("/own")).toBeNull();
  const raw = await gateway.connect("GET / HTTP/1.1\r\n\r\n");
  await raw.ended();
  expect(raw.received).toContain("proxy-status: sluice-test; error=http_request_error; details=");
});
