import { expect, test } from "bun:test";
import type { MiddlewareHandler } from "hono";
import { basicAuth } from "hono/basic-auth";
import { bearerAuth } from "hono/bearer-auth";
import { bodyLimit } from "hono/body-limit";
import { every, some } from "hono/combine";
import { compress } from "hono/compress";
import { contextStorage, getContext } from "hono/context-storage";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { etag } from "hono/etag";
import { HTTPException } from "hono/http-exception";
import { ipRestriction } from "hono/ip-restriction";
import { jwt } from "hono/jwt";
import { languageDetector } from "hono/language";
import { logger } from "hono/logger";
import { poweredBy } from "hono/powered-by";
import { prettyJSON } from "hono/pretty-json";
import { requestId } from "hono/request-id";
import { NONCE, secureHeaders } from "hono/secure-headers";
import { timeout } from "hono/timeout";
import { endTime, setMetric, startTime, timing } from "hono/timing";
import { appendTrailingSlash, trimTrailingSlash } from "hono/trailing-slash";
import { validator } from "hono/validator";
import { exchangeOf } from "sluice/plugin";
import { fakeUpstream, type FakeUpstream } from "sluice/testing";
import { type StepHandler, type TestGateway, testGateway } from "./test-gateway.ts";

/* Hono's own middlewares as they are published, as steps in front of a real upstream. */

const LONG = JSON.stringify({ items: Array.from({ length: 200 }, (_, i) => ({ id: i, name: `item ${i}` })) });

function upstream(): Promise<FakeUpstream> {
  return fakeUpstream(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/echo") return new Response(await request.text());
    if (pathname === "/missing/") return new Response("none", { status: 404 });
    if (pathname === "/hang") return new Promise(() => {});
    return new Response(LONG, {
      headers: {
        "content-type": "application/json",
        etag: pathname === "/etag" ? '"theirs"' : "",
        "x-powered-by": "php",
      },
    });
  });
}

async function behind(
  step: MiddlewareHandler | readonly StepHandler[],
  use: (gate: TestGateway, up: FakeUpstream) => Promise<void>,
): Promise<void> {
  await using up = await upstream();
  const steps = typeof step === "function" ? [step] : step;
  using gate = testGateway([{ path: "/*", steps }], { upstream: up.url });
  await use(gate, up);
}

test("etag", () =>
  behind(etag(), async (gate) => {
    const first = await gate.fetch("/x");
    expect(await first.text()).toBe(LONG);
    const tag = first.headers.get("etag");
    expect(tag).toMatch(/^"[0-9a-f]{40}"$/);
    const second = await gate.fetch("/x", { headers: { "if-none-match": tag ?? "" } });
    expect(second.status).toBe(304);
    expect(await second.text()).toBe("");
    expect(second.headers.has("x-powered-by")).toBe(false);
    expect((await gate.fetch("/etag")).headers.get("etag")).toBe('"theirs"');
    expect(gate.finished.map(({ sent }) => sent.complete)).toEqual([true, true, true]);
  }));

test("cors", () =>
  behind(cors({ origin: ["https://app.example"], credentials: true, maxAge: 600 }), async (gate, up) => {
    const preflight = await gate.fetch("/x", {
      method: "OPTIONS",
      headers: { origin: "https://app.example", "access-control-request-headers": "x-a" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(preflight.headers.get("access-control-allow-headers")).toBe("x-a");
    expect(preflight.headers.get("access-control-max-age")).toBe("600");
    expect(up.requests).toHaveLength(0);
    const plain = await gate.fetch("/x", { headers: { origin: "https://app.example" } });
    expect(plain.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(plain.headers.get("vary")).toBe("Origin");
    expect(await plain.text()).toBe(LONG);
  }));

test("cors on an error that the gateway made", () =>
  behind(
    [
      cors({ origin: "https://app.example" }) as StepHandler,
      () => {
        throw new Error("broken");
      },
    ],
    async (gate) => {
      const answer = await gate.fetch("/x", { headers: { origin: "https://app.example" } });
      expect(answer.status).toBe(500);
      expect(answer.headers.get("access-control-allow-origin")).toBe("https://app.example");
    },
  ));

test("secure-headers", () =>
  behind(secureHeaders({ contentSecurityPolicy: { scriptSrc: [NONCE] } }), async (gate) => {
    const { headers } = await gate.fetch("/x");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("strict-transport-security")).toContain("max-age=");
    expect(headers.get("content-security-policy")).toMatch(/^script-src 'nonce-/);
    expect(headers.has("x-powered-by")).toBe(false);
  }));

test("basic-auth", () =>
  behind(basicAuth({ username: "u", password: "p" }), async (gate, up) => {
    const refused = await gate.fetch("/x");
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toBe('Basic realm="Secure Area"');
    expect(up.requests).toHaveLength(0);
    const allowed = await gate.fetch("/x", { headers: { authorization: `Basic ${btoa("u:p")}` } });
    expect(await allowed.text()).toBe(LONG);
    expect(gate.stepsFinished.map(({ outcome }) => outcome)).toEqual(["ok", "ok"]);
  }));

test("bearer-auth", () =>
  behind(bearerAuth({ token: "secret" }), async (gate) => {
    expect((await gate.fetch("/x")).status).toBe(401);
    expect((await gate.fetch("/x", { headers: { authorization: "Bearer wrong" } })).status).toBe(401);
    expect((await gate.fetch("/x", { headers: { authorization: "Bearer secret" } })).status).toBe(200);
  }));

test("jwt", () =>
  behind(jwt({ secret: "s", alg: "HS256" }), async (gate) => {
    const refused = await gate.fetch("/x", { headers: { authorization: "Bearer a.b.c" } });
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain("Bearer");
  }));

test("compress", () =>
  behind(compress(), async (gate) => {
    const answer = await gate.fetch("/x", { headers: { "accept-encoding": "gzip" } });
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(answer.headers.get("vary")).toBe("Accept-Encoding");
    expect(Buffer.from(Bun.gunzipSync(await answer.arrayBuffer())).toString()).toBe(LONG);
    const plain = await gate.fetch("/x", { headers: { "accept-encoding": "identity" } });
    expect(await plain.text()).toBe(LONG);
    expect(gate.finished[0]?.exchange.response?.source).toBe("upstream");
  }));

test("request-id", () =>
  behind(requestId(), async (gate) => {
    const given = await gate.fetch("/x", { headers: { "x-request-id": "abc" } });
    expect(given.headers.get("x-request-id")).toBe("abc");
    expect((await gate.fetch("/x")).headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  }));

test("timing", () =>
  behind(
    [
      timing() as StepHandler,
      async (c, next) => {
        setMetric(c, "region", "eu");
        startTime(c, "up");
        await next();
        endTime(c, "up");
      },
    ],
    async (gate) => {
      const value = (await gate.fetch("/x")).headers.get("server-timing");
      expect(value).toContain('region;desc="eu"');
      expect(value).toContain("up;dur=");
      expect(value).toContain("total;dur=");
    },
  ));

test("body-limit, with a later step and the upstream still getting the body", () =>
  behind(
    [
      bodyLimit({ maxSize: 20 }) as StepHandler,
      async (c, next) => {
        c.header("x-length", String((await c.req.text()).length));
        await next();
      },
    ],
    async (gate) => {
      const small = await gate.fetch("/echo", { method: "POST", body: "small" });
      expect(await small.text()).toBe("small");
      expect(small.headers.get("x-length")).toBe("5");
      const large = await gate.fetch("/echo", { method: "POST", body: "x".repeat(21) });
      expect(large.status).toBe(413);
      const stream = (size: number) =>
        new ReadableStream({
          pull(controller) {
            controller.enqueue(Buffer.from("y".repeat(size)));
            controller.close();
          },
        });
      const chunked = await gate.fetch("/echo", { method: "POST", body: stream(10) });
      expect(await chunked.text()).toBe("y".repeat(10));
      expect((await gate.fetch("/echo", { method: "POST", body: stream(30) })).status).toBe(413);
    },
  ));

test("timeout gives the upstream up and answers", () =>
  behind(timeout(20), async (gate, up) => {
    const answer = await gate.fetch("/hang");
    expect(answer.status).toBe(504);
    expect(await answer.text()).toBe("Gateway Timeout");
    await gate.ended(1);
    expect(up.requests).toHaveLength(1);
    expect(gate.finished[0]?.exchange.response?.status).toBe(504);
  }));

test("pretty-json", () =>
  behind(prettyJSON(), async (gate) => {
    expect(await (await gate.fetch("/x?pretty")).text()).toBe(JSON.stringify(JSON.parse(LONG), null, 2));
    expect(await (await gate.fetch("/x")).text()).toBe(LONG);
  }));

test("logger", async () => {
  const lines: string[] = [];
  await behind(
    logger((line) => void lines.push(line)),
    async (gate) => {
      await gate.fetch("/x?a=1");
    },
  );
  expect(lines[0]).toBe("<-- GET /x?a=1");
  expect(lines[1]).toContain("--> GET /x?a=1");
  expect(lines[1]).toContain("200");
});

test("ip-restriction by the exchange's client address", () =>
  behind(
    [ipRestriction((c) => exchangeOf(c).clientAddress, { denyList: ["203.0.113.0/24"] }) as StepHandler],
    async (gate) => {
      expect((await gate.fetch("/x")).status).toBe(403);
    },
  ));

test("powered-by, csrf, language, context-storage, combine, trailing-slash", async () => {
  await behind(poweredBy(), async (gate) => {
    expect((await gate.fetch("/x")).headers.get("x-powered-by")).toBe("Hono");
  });
  await behind(csrf({ origin: "https://a.example" }), async (gate) => {
    const form = { "content-type": "application/x-www-form-urlencoded", origin: "https://b.example" };
    expect((await gate.fetch("/x", { method: "POST", body: "a=1", headers: form })).status).toBe(403);
  });
  await behind(
    [
      languageDetector({ supportedLanguages: ["en", "de"], fallbackLanguage: "en" }) as StepHandler,
      contextStorage() as StepHandler,
      async (_c, next) => {
        await next();
        getContext().header("x-language", String(getContext().get("language" as never)));
      },
    ],
    async (gate) => {
      const answer = await gate.fetch("/x", { headers: { "accept-language": "de" } });
      expect(answer.headers.get("x-language")).toBe("de");
    },
  );
  await behind(
    some(every(bearerAuth({ token: "t" })), basicAuth({ username: "u", password: "p" })),
    async (gate) => {
      expect((await gate.fetch("/x")).status).toBe(401);
      const basic = { authorization: `Basic ${btoa("u:p")}` };
      expect(await (await gate.fetch("/x", { headers: basic })).text()).toBe(LONG);
    },
  );
  await behind(trimTrailingSlash(), async (gate) => {
    const answer = await gate.fetch("/missing/");
    expect(answer.status).toBe(301);
    expect(new URL(answer.headers.get("location") ?? "").pathname).toBe("/missing");
  });
  await behind(appendTrailingSlash({ alwaysRedirect: true }), async (gate) => {
    expect((await gate.fetch("/x")).headers.get("location")).toEndWith("/x/");
  });
});

test("validator", () =>
  behind(
    [
      validator("json", (value, c) => (value["ok"] === true ? value : c.text("bad", 400))) as StepHandler,
      async (c, next) => {
        c.header("x-valid", JSON.stringify(c.req.valid("json" as never)));
        await next();
      },
    ],
    async (gate) => {
      const post = (body: string) =>
        gate.fetch("/echo", { method: "POST", body, headers: { "content-type": "application/json" } });
      const good = await post('{"ok":true}');
      expect(good.headers.get("x-valid")).toBe('{"ok":true}');
      expect(await good.text()).toBe('{"ok":true}');
      expect((await post('{"ok":false}')).status).toBe(400);
      expect((await post("{")).status).toBe(400);
    },
  ));

test("an HTTPException keeps its status and its response", () =>
  behind(
    [
      async (c, next) => {
        c.header("x-above", "1");
        await next();
        c.header("x-error", c.error?.message);
      },
      (c) => {
        if (c.req.path === "/plain") throw new HTTPException(409, { message: "taken" });
        throw new HTTPException(402, { res: new Response("pay", { headers: { "x-pay": "1" } }) });
      },
    ],
    async (gate) => {
      const plain = await gate.fetch("/plain");
      expect(plain.status).toBe(409);
      expect(await plain.text()).toBe("taken");
      expect(plain.headers.get("x-above")).toBe("1");
      expect(plain.headers.get("x-error")).toBe("taken");
      const own = await gate.fetch("/own");
      expect(own.status).toBe(402);
      expect(await own.text()).toBe("pay");
      expect(own.headers.get("x-pay")).toBe("1");
    },
  ));
