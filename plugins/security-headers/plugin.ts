import { definePlugin, type Exchange, exchangeOf, FixedHeaders, headerName } from "sluice/plugin";
import { z } from "zod";

/** A field's value, or false to leave the field out. */
const field = (initial: string | false) =>
  z
    .union([z.string().regex(/^[\x20-\x7e]+$/), z.literal(false)], {
      error: "expected a header value of printable ASCII, or false to leave the field out",
    })
    .default(initial);

/** The values are those of the OWASP Secure Headers Project, as far as they suit every site. */
const FIELDS = {
  strict_transport_security: field("max-age=31536000; includeSubDomains").describe(
    "Strict-Transport-Security, on answers to requests that came by https (RFC 6797 §7.2). False leaves it out.",
  ),
  x_content_type_options: field("nosniff").describe("X-Content-Type-Options. False leaves it out."),
  x_frame_options: field("DENY").describe("X-Frame-Options. False leaves it out."),
  referrer_policy: field("no-referrer").describe("Referrer-Policy. False leaves it out."),
  content_security_policy: field(false).describe(
    "Content-Security-Policy. Off, because it has to name what a site's own pages load.",
  ),
  permissions_policy: field(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()",
  ).describe("Permissions-Policy. False leaves it out."),
  cross_origin_opener_policy: field("same-origin").describe(
    "Cross-Origin-Opener-Policy. False leaves it out.",
  ),
  cross_origin_resource_policy: field("same-origin").describe(
    "Cross-Origin-Resource-Policy; cross-origin for what other sites may embed. False leaves it out.",
  ),
  cross_origin_embedder_policy: field(false).describe(
    "Cross-Origin-Embedder-Policy. Off, because it keeps pages from loading what other sites did not release.",
  ),
  x_permitted_cross_domain_policies: field("none").describe(
    "X-Permitted-Cross-Domain-Policies. False leaves it out.",
  ),
} as const;

export default definePlugin({
  apiVersion: 1,
  name: "security-headers",
  description:
    "Adds the header fields that make browsers careful, and removes those that name an upstream's software.",
  schema: z.strictObject({
    ...FIELDS,
    override: z
      .boolean()
      .default(false)
      .describe("Replaces fields that the upstream has set; else its own stand."),
    remove: z
      .array(headerName())
      .default(["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version"])
      .describe("Fields of the answer to take away."),
  }),
  setup({ override, remove, strict_transport_security: hsts, ...fields }) {
    const always = Object.entries(fields).flatMap(([key, value]): [string, string][] =>
      value === false ? [] : [[key.replaceAll("_", "-"), value]],
    );
    const overHttp = new FixedHeaders(always);
    const overHttps =
      hsts === false ? overHttp : new FixedHeaders([...always, ["strict-transport-security", hsts]]);
    const removed: ReadonlySet<string> = new Set(remove);

    return {
      async handle(c, next) {
        const exchange = exchangeOf(c);
        await next();
        const headers = exchange.response?.headers;
        // What calls by gRPC is no browser, and every field costs each of its calls.
        if (headers === undefined || exchange.protocol === "grpc") return;
        headers.deleteAll(removed);
        const fixed = isHttps(exchange) ? overHttps : overHttp;
        if (override) headers.setAll(fixed);
        else headers.addMissing(fixed);
      },
    };
  },
});

/** Whether the client's own connection was encrypted: ours, or the one of a proxy that we believe. */
function isHttps({ request, fromTrustedProxy }: Exchange): boolean {
  return (
    request.scheme === "https" || (fromTrustedProxy && request.headers.get("x-forwarded-proto") === "https")
  );
}
