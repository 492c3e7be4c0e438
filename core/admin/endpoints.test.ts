import { expect, test } from "bun:test";
import { definePlugin } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { z } from "zod";
import { failure } from "../listener/test-listener.ts";
import { type TestRuntime, testRuntime, yamlOf } from "../runtime/test-runtime.ts";
import { VERSION } from "../version.ts";

/* What the admin API answers. */

const AUTH = { authorization: "Bearer t0ken-for-tests" };
const ADMIN = '{ address: 127.0.0.1:0, token: "${ADMIN_TOKEN}" }';
const env = { ADMIN_TOKEN: "t0ken-for-tests", KEY: "key-from-env", MATCHED: "matched-one", SENT: "sent-one" };
const keyed = definePlugin({
  ...{ apiVersion: 1, name: "keyed", description: "Has a secret." },
  schema: z.strictObject({ api_key: z.string(), word: z.string() }),
  setup: (_, { log }) => ({
    handle(c, next) {
      log.info({ path: c.req.path }, "seen");
      return next();
    },
  }),
});
const ROUTES = `upstreams:
  app: { targets: [{ url: http://127.0.0.1:1, weight: 3 }, http://127.0.0.1:2] }
routes:
  - name: first
    match: { path: /a/*, method: [GET] }
    pipeline: [{ keyed: { api_key: "\${KEY}", word: visible }, timeout: 2s }]
    upstream: app
  - match: { header: { authorization: "\${MATCHED}" } }
    respond: { status: 204, headers: { x-api-key: "\${SENT}" } }
`;
const start = (): Promise<TestRuntime> => testRuntime(yamlOf(ROUTES, ADMIN), { plugins: [keyed], env });
const get = async (gateway: TestRuntime, path: string): Promise<unknown> =>
  (await gateway.ask(path, { headers: AUTH })).json();

const JSON_PATHS = [
  ...["/healthz", "/readyz", "/health", "/config", "/routes", "/upstreams", "/metrics/summary", "/log-level"],
];

test("each path has its content type, is never cached, and HEAD is GET without the body", async () => {
  await using gateway = await start();
  for (const path of [...JSON_PATHS, "/metrics"]) {
    const answer = await gateway.ask(path, { headers: AUTH });
    expect([path, answer.status, answer.headers.get("content-type")]).toEqual([
      ...[path, 200],
      path === "/metrics" ? "text/plain; version=0.0.4; charset=utf-8" : "application/json",
    ]);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    const body = await answer.text();
    expect(body.length).toBeGreaterThan(0);

    const head = `HEAD ${path} HTTP/1.1\r\nhost: h\r\nauthorization: ${AUTH.authorization}\r\nconnection: close\r\n\r\n`;
    const text = await (await gateway.connect(gateway.admin, head)).ended();
    expect(text).toStartWith("HTTP/1.1 200 ");
    expect(text).toEndWith("\r\n\r\n");
    expect(text).toContain(`content-type: ${answer.headers.get("content-type")}`);
    // RFC 9110 §8.6: a length that is not GET's must not be sent.
    expect(text.toLowerCase()).not.toContain("content-length: 0");
  }
});

test("other methods are told which ones there are; other paths do not exist", async () => {
  await using gateway = await start();
  const cases: [string, string, string][] = [
    ...[...JSON_PATHS.slice(0, -1), "/metrics"].map((path): [string, string, string] => [
      "POST",
      path,
      "GET, HEAD",
    ]),
    ["GET", "/config/reload", "POST"],
    ["HEAD", "/config/reload", "POST"],
    ["DELETE", "/log-level", "GET, HEAD, PATCH"],
    ["OPTIONS", "/config", "GET, HEAD"],
    ["GET", "/upstreams/app/targets/127.0.0.1:1/drain", "POST, DELETE"],
  ];
  for (const [method, path, allow] of cases) {
    const answer = await gateway.ask(path, { method, headers: AUTH });
    expect([method, path, answer.status, answer.headers.get("allow")]).toEqual([method, path, 405, allow]);
    if (method !== "HEAD") expect(await answer.text()).toContain('"code":"method_not_allowed"');
  }
  for (const path of ["/", "/nothing", "/config/nothing", "/metrics/", "/constructor", "/__proto__"]) {
    const answer = await gateway.ask(path, { headers: AUTH });
    expect([path, answer.status]).toEqual([path, 404]);
    expect(answer.headers.has("allow")).toBe(false);
    expect(await answer.json()).toMatchObject({ error: { code: "not_found" } });
  }
});

test("methods that nobody knows are no GET", async () => {
  await using gateway = await testRuntime(yamlOf(ROUTES), { plugins: [keyed], env });
  for (const method of ["PURGE", "get", "TRACE"]) {
    const text = `${method} /config HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`;
    const answer = await (await gateway.connect(gateway.admin, text)).ended();
    expect(answer).toStartWith("HTTP/1.1 501 ");
    expect(answer).not.toContain("listeners");
  }
});

test("/config is what runs, with its defaults and without its secrets", async () => {
  await using gateway = await start();
  const config = await get(gateway, "/config");
  expect(config).toMatchObject({
    ...{ version: 1, admin: { token: "***" }, shutdown_timeout: "30s" },
    routes: [
      { name: "first", pipeline: [{ keyed: { api_key: "***", word: "visible" }, timeout: "2s" }] },
      {},
    ],
  });
  for (const path of [...JSON_PATHS, "/metrics"]) {
    const text = await (await gateway.ask(path, { headers: AUTH })).text();
    for (const secret of Object.values(env)) expect(text).not.toContain(secret);
  }
});

test("/routes and /upstreams are what requests meet", async () => {
  await using gateway = await start();
  expect(await get(gateway, "/routes")).toMatchObject({
    routes: [
      {
        ...{ name: "first", match: { path: "/a/*", method: ["GET"] } },
        steps: [{ step: "first[0]", plugin: "keyed", on_error: "fail", timeout_ms: 2_000 }],
        action: { kind: "upstream", upstream: "app" },
      },
      {
        ...{ name: "routes[1]", match: { header: { authorization: "***" } }, steps: [] },
        action: { kind: "respond", respond: { status: 204, headers: { "x-api-key": "***" } } },
      },
    ],
  });
  expect(await get(gateway, "/upstreams")).toEqual({
    upstreams: [
      {
        ...{ name: "app", protocol: "http1", balance: "round-robin", panic: false, queued: 0 },
        ...{ circuit: null, bulkhead: null, retries: null, names: [] },
        targets: [target("http://127.0.0.1:1", 3), target("http://127.0.0.1:2", 1)],
      },
    ],
  });
});

function target(url: string, weight: number): object {
  return {
    ...{ url, weight, priority: 0, status: "available", reason: "", healthy: true, available: true },
    ...{ in_flight: 0, latency_ms: 0, answers: 0, failures: 0, ejections: 0 },
    connections: { open: 0, idle: 0 },
  };
}

test("a target is drained, and taken in again", async () => {
  await using gateway = await start();
  const drain = async (method: string, name: string, headers: Record<string, string> = AUTH) => {
    const answer = await gateway.ask(`/upstreams/app/targets/${name}/drain`, { method, headers });
    return [answer.status, ((await answer.json()) as { status?: string }).status];
  };
  expect(await drain("POST", encodeURIComponent("http://127.0.0.1:1"))).toEqual([200, "draining"]);
  expect(await get(gateway, "/upstreams")).toMatchObject({
    upstreams: [{ targets: [{ status: "draining", available: false }, { status: "available" }] }],
  });
  expect(await drain("POST", "127.0.0.1:1")).toEqual([200, "draining"]);
  expect(await drain("DELETE", "127.0.0.1:1")).toEqual([200, "available"]);
  expect(await drain("POST", "127.0.0.1:9")).toEqual([404, undefined]);
  expect(await drain("POST", "127.0.0.1:1", {})).toEqual([401, undefined]);
});

test("/health says what runs, since when, where, and how the last reload went", async () => {
  await using gateway = await start();
  await gateway.clock.advance(90_000);
  expect(await get(gateway, "/health")).toMatchObject({
    ...{ status: "ready", version: VERSION, uptime_seconds: 90, active_requests: 0, reload: null },
    listeners: [gateway.address()],
    config: { file: `${gateway.dir}/sluice.yaml`, generation: 1, routes: 2 },
  });
});

test("POST /config/reload: good, bad with every error, and what serves meanwhile", async () => {
  await using gateway = await start();
  const post = (): Promise<Response> => gateway.ask("/config/reload", { method: "POST", headers: AUTH });
  const routes = (status: number): string => `routes: [{ respond: { status: ${status} } }]\n`;

  gateway.write("sluice.yaml", yamlOf(routes(201), ADMIN));
  const good = await post();
  expect([good.status, await good.json()]).toEqual([200, { ok: true, generation: 2, warnings: [] }]);
  expect((await gateway.fetch("/")).status).toBe(201);
  expect(await get(gateway, "/health")).toMatchObject({ config: { generation: 2 }, reload: { ok: true } });

  gateway.write(
    "sluice.yaml",
    yamlOf("routes:\n  - { upstream: nope }\n  - { respond: { status: 7 } }\nlogs: {}\n"),
  );
  const bad = await post();
  const result = (await bad.json()) as { ok: boolean; generation: number; errors: string[] };
  expect([bad.status, result.ok, result.generation]).toEqual([422, false, 2]);
  expect(result.errors).toHaveLength(3);
  for (const [i, place] of ["sluice.yaml:5:", "sluice.yaml:6:", "sluice.yaml:7:"].entries())
    expect(result.errors[i]).toContain(place);
  expect((await gateway.fetch("/")).status).toBe(201);
  expect(await get(gateway, "/health")).toMatchObject({
    ...{ status: "ready", config: { generation: 2 } },
    reload: { ok: false, errors: result.errors },
  });
  const line = await gateway.line((one) => one["msg"] === "reload rejected");
  expect(line).toMatchObject({ level: "error", trigger: "admin API", errors: result.errors });
  const metrics = await (await gateway.ask("/metrics", { headers: AUTH })).text();
  expect(metrics).toContain('sluice_config_reloads_total{result="ok"} 1');
  expect(metrics).toContain('sluice_config_reloads_total{result="rejected"} 1');

  gateway.write("sluice.yaml", yamlOf(routes(202), ADMIN));
  expect((await post()).status).toBe(200);
  expect(await get(gateway, "/health")).toMatchObject({ config: { generation: 3 }, reload: { ok: true } });
});

test("a reload may change the token", async () => {
  await using gateway = await start();
  const next = yamlOf(ROUTES, "{ address: 127.0.0.1:0, token: another }");
  expect((await gateway.reload(next)).ok).toBe(true);
  expect((await gateway.ask("/config", { headers: AUTH })).status).toBe(401);
  expect((await gateway.ask("/config", { headers: { authorization: "Bearer another" } })).status).toBe(200);
});

test("PATCH /log-level holds until the next reload", async () => {
  await using gateway = await start();
  const patch = (body: string): Promise<Response> =>
    gateway.ask("/log-level", { method: "PATCH", headers: AUTH, body });
  expect(await get(gateway, "/log-level")).toEqual({ level: "info" });
  expect(await (await patch('{"level": "error"}')).json()).toEqual({ level: "error" });
  expect(await get(gateway, "/log-level")).toEqual({ level: "error" });
  await gateway.fetch("/a/before");
  expect((await gateway.reload(yamlOf(ROUTES, ADMIN))).ok).toBe(true);
  expect(await get(gateway, "/log-level")).toEqual({ level: "info" });
  await gateway.fetch("/a/after");
  const seen = gateway.lines.filter((line) => line["msg"] === "seen");
  expect(seen.map((line) => line["path"])).toEqual(["/a/after"]);
});

test("bodies that make no sense change nothing", async () => {
  await using gateway = await start();
  const hostile = [
    ...["", "debug", "[]", "null", "{}", '{"level":"trace"}', '{"level":["debug"]}', '{"level":"__proto__"}'],
    ...[
      '{"level":"DEBUG"}',
      '{"__proto__":{"level":"debug"}}',
      "[".repeat(200_000),
      "\u0000",
      '{"level":"debug"',
    ],
  ];
  for (const body of hostile) {
    const answer = await gateway.ask("/log-level", { method: "PATCH", headers: AUTH, body });
    expect([body.slice(0, 40), answer.status]).toEqual([body.slice(0, 40), 422]);
    expect(await answer.json()).toMatchObject({ error: { code: "unprocessable" } });
  }
  expect(await get(gateway, "/log-level")).toEqual({ level: "info" });
});

test("a body that is too large is refused, said in advance or not", async () => {
  await using gateway = await start();
  const client = await gateway.connect(
    gateway.admin,
    "PATCH /log-level HTTP/1.1\r\nhost: h\r\nauthorization: Bearer t0ken-for-tests\r\ncontent-length: 1048577\r\n\r\n",
  );
  await client.until("payload_too_large");
  expect(client.received).toStartWith("HTTP/1.1 413 ");
  const chunked = await gateway.connect(
    gateway.admin,
    "PATCH /log-level HTTP/1.1\r\nhost: h\r\nauthorization: Bearer t0ken-for-tests\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  await chunked.send(`fffff\r\n${"x".repeat(0xfffff)}\r\n10\r\n${"y".repeat(16)}\r\n`);
  await chunked.until("payload_too_large");
  expect(chunked.received).toStartWith("HTTP/1.1 413 ");
});

test("a GET that has a body is a GET", async () => {
  await using gateway = await start();
  const text = `GET /log-level HTTP/1.1\r\nhost: h\r\nauthorization: ${AUTH.authorization}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`;
  expect(await (await gateway.connect(gateway.admin, text)).ended()).toContain('{"level":"info"}');
});

test("a target in absolute-form is served as its path", async () => {
  await using gateway = await start();
  const text = `GET http://any.test/log-level?x HTTP/1.1\r\nhost: any.test\r\nauthorization: ${AUTH.authorization}\r\nconnection: close\r\n\r\n`;
  expect(await (await gateway.connect(gateway.admin, text)).ended()).toContain('{"level":"info"}');
});

test("/readyz turns 503 when the gateway drains, and the admin API answers until the end", async () => {
  const gate = Promise.withResolvers<void>();
  await using upstream = await fakeUpstream(async () => {
    await gate.promise;
    return new Response("late");
  });
  const yaml = yamlOf(`upstreams: { app: { targets: ["${upstream.url}"] } }\nroutes: [{ upstream: app }]\n`);
  await using gateway = await testRuntime(yaml);
  expect(await (await gateway.ask("/readyz")).json()).toEqual({ status: "ready" });
  const answer = gateway.fetch("/");
  await upstream.received(1);
  const stopping = gateway.runtime.shutdown();
  const readyz = await gateway.ask("/readyz");
  expect([readyz.status, await readyz.json()]).toEqual([503, { status: "not ready" }]);
  expect((await gateway.ask("/healthz")).status).toBe(200);
  expect(await (await gateway.ask("/health")).json()).toMatchObject({
    status: "draining",
    active_requests: 1,
  });
  gate.resolve();
  expect(await (await answer).text()).toBe("late");
  expect(await gateway.during(stopping)).toBe(0);
  expect(await failure(gateway.ask("/healthz"))).not.toBe("");
});
