import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fakeUpstream, runPlugin, startPlugin, type TestRequest } from "sluice/testing";
import securityHeaders from "./plugin.ts";

interface Given {
  readonly request?: TestRequest;
  /** The upstream's own header fields. */
  readonly upstream?: Record<string, string>;
  readonly trustedProxies?: readonly string[];
}

async function send(
  options: object,
  { request = {}, upstream: own = {}, trustedProxies = [] }: Given = {},
): Promise<Response> {
  await using upstream = await fakeUpstream(() => new Response("ok", { headers: own }));
  return await runPlugin(securityHeaders, options, request, { upstream, trustedProxies });
}

const HTTPS = { request: { headers: { "x-forwarded-proto": "https" } }, trustedProxies: ["127.0.0.1"] };

test("the defaults", async () => {
  const { headers } = await send({}, { upstream: { server: "shop/1.2", "x-powered-by": "PHP" } });
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("x-frame-options")).toBe("DENY");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
  expect(headers.get("permissions-policy")).toContain("camera=()");
  expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
  expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
  expect(headers.get("x-permitted-cross-domain-policies")).toBe("none");
  expect(headers.has("content-security-policy")).toBe(false);
  expect(headers.has("cross-origin-embedder-policy")).toBe(false);
  expect(headers.has("server")).toBe(false);
  expect(headers.has("x-powered-by")).toBe(false);
});

describe("Strict-Transport-Security", () => {
  test("is sent over https only", async () => {
    expect((await send({})).headers.has("strict-transport-security")).toBe(false);
    expect((await send({}, HTTPS)).headers.get("strict-transport-security")).toBe(
      "max-age=31536000; includeSubDomains",
    );
  });

  test("is not sent because somebody says that it was https", async () => {
    const forged = await send({}, { request: HTTPS.request });
    expect(forged.headers.has("strict-transport-security")).toBe(false);
  });

  test("may have another value, or none", async () => {
    const short = await send({ strict_transport_security: "max-age=60" }, HTTPS);
    expect(short.headers.get("strict-transport-security")).toBe("max-age=60");
    const none = await send({ strict_transport_security: false }, HTTPS);
    expect(none.headers.has("strict-transport-security")).toBe(false);
  });
});

test("each field may have another value, or none", async () => {
  const { headers } = await send(
    {
      x_frame_options: "SAMEORIGIN",
      referrer_policy: false,
      content_security_policy: "default-src 'self'",
      remove: ["X-Up"],
    },
    { upstream: { "x-up": "1", server: "shop/1.2" } },
  );
  expect(headers.get("x-frame-options")).toBe("SAMEORIGIN");
  expect(headers.has("referrer-policy")).toBe(false);
  expect(headers.get("content-security-policy")).toBe("default-src 'self'");
  expect(headers.has("x-up")).toBe(false);
  expect(headers.get("server")).toBe("shop/1.2");
});

test("an upstream's own fields stand, unless they are overridden", async () => {
  const upstream = { "x-frame-options": "SAMEORIGIN", "referrer-policy": "origin" };
  const kept = await send({}, { upstream });
  expect(kept.headers.get("x-frame-options")).toBe("SAMEORIGIN");
  expect(kept.headers.get("referrer-policy")).toBe("origin");
  const replaced = await send({ override: true, referrer_policy: false }, { upstream });
  expect(replaced.headers.get("x-frame-options")).toBe("DENY");
  expect(replaced.headers.get("referrer-policy")).toBe("origin");
});

test("the gateway's own errors have them", async () => {
  const upstream = await fakeUpstream(() => new Response("never"));
  await upstream.close();
  const answer = await runPlugin(securityHeaders, {}, {}, { upstream });
  expect(answer.status).toBe(502);
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
});

test("gRPC calls are left alone", async () => {
  const request = {
    method: "POST",
    path: "/t.Echo/Say",
    headers: { "content-type": "application/grpc" },
    body: "",
  };
  const { headers } = await send(
    {},
    { request, upstream: { "content-type": "application/grpc", server: "grpc" } },
  );
  expect(headers.has("x-content-type-options")).toBe(false);
  expect(headers.get("server")).toBe("grpc");
});

describe("a configuration is refused", () => {
  test.each([
    [
      { x_frame_options: true },
      "x_frame_options: expected a header value of printable ASCII, or false to leave the field out",
    ],
    [{ hsts: false }, /^hsts: unknown key "hsts", expected one of "content_security_policy", /],
    [
      { x_frame_option: false },
      'x_frame_option: unknown key "x_frame_option" (did you mean "x_frame_options"?)',
    ],
    [
      { remove: ["connection"] },
      "remove[0]: connection belongs to the connection and is written by the gateway",
    ],
  ])("%j", async (options, message) => {
    const failure = (await startPlugin(securityHeaders, options).catch((error: unknown) => error)) as Error;
    expect(failure.message).toStartWith("routes[0].pipeline[0].security-headers.");
    const said = failure.message.slice("routes[0].pipeline[0].security-headers.".length);
    if (typeof message === "string") expect(said).toBe(message);
    else expect(said).toMatch(message);
  });
});

test("the README's example runs", async () => {
  const readme = readFileSync(join(import.meta.dir, "README.md"), "utf8");
  const example = Bun.YAML.parse(/```yaml\n([^]*?)```/.exec(readme)![1]!) as {
    pipeline: [{ "security-headers": object }];
  };
  const { headers } = await send(example.pipeline[0]["security-headers"]);
  expect(headers.get("x-frame-options")).toBe("SAMEORIGIN");
  expect(headers.get("content-security-policy")).toStartWith("default-src 'self'; object-src 'none'");
  expect(headers.has("cross-origin-resource-policy")).toBe(false);
});
