import { expect, test } from "bun:test";
import { type AnyPlugin, CONSUMER, definePlugin, exchangeOf, TENANT, TRACE_ID } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { z } from "zod";
import { testRuntime, yamlOf } from "../runtime/test-runtime.ts";

/* The line that a finished request leaves, read as an operator reads it. */

const plugin = (name: string, handle: Parameters<typeof definePlugin>[0]["setup"]): AnyPlugin =>
  definePlugin({
    ...{ apiVersion: 1, name, description: "A step of a test." },
    schema: z.strictObject({}),
    setup: handle,
  });

const identity = plugin("identity", () => ({
  async handle(c, next) {
    const exchange = exchangeOf(c);
    exchange.requestId = "id-1";
    exchange.set(TRACE_ID, "0af7651916cd43dd8448eb211c80319c");
    exchange.set(CONSUMER, "team-a");
    exchange.set(TENANT, "a");
    await next();
  },
}));
const broken = plugin("broken", () => ({
  handle() {
    throw new Error("the plugin's own words");
  },
}));

const routesTo = (url: string): string => `upstreams: { app: { targets: ["${url}"] } }
routes:
  - { name: known, match: { path: /known/* }, pipeline: [identity], upstream: app }
  - { name: broken, match: { path: /broken }, pipeline: [broken], upstream: app }
  - { name: all, match: { path: /app/* }, upstream: app }
`;

test("a request's line has all that an operator asks for, in one order", async () => {
  await using upstream = await fakeUpstream(() => new Response("hello", { status: 201 }));
  await using gateway = await testRuntime(yamlOf(routesTo(upstream.url)), { plugins: [identity, broken] });
  await gateway.fetch("/known/x?key=abc&page=2", {
    ...{ method: "POST", body: "four" },
    headers: { "user-agent": "test/1", authorization: "Bearer secret-1", cookie: "sid=secret-2" },
  });
  const line = await gateway.request(1);
  expect(line).toEqual({
    ...{ level: "info", time: "2023-11-14T22:13:20.000Z", msg: "request" },
    ...{ request_id: "id-1", trace_id: "0af7651916cd43dd8448eb211c80319c", client: "127.0.0.1" },
    ...{ consumer: "team-a", tenant: "a", http: "1.1", method: "POST", host: gateway.address() },
    ...{ target: "/known/x?key=***&page=***", route: "known", status: 201, bytes_in: 4, bytes_out: 5 },
    ...{ first_byte_ms: 0, duration_ms: 0, upstream: "app", target_url: upstream.url, upstream_ms: 0 },
    user_agent: "test/1",
  });
  expect(gateway.texts.join("\n")).not.toContain("secret-");
  expect(Object.keys(line).slice(0, 5)).toEqual(["level", "time", "msg", "request_id", "trace_id"]);
});

test("the line comes when the last byte has left, with the times until then; one a request", async () => {
  const gate = Promise.withResolvers<void>();
  await using upstream = await fakeUpstream(
    () =>
      new Response(
        new ReadableStream<Uint8Array>({
          async start(controller) {
            controller.enqueue(Buffer.from("first"));
            await gate.promise;
            controller.enqueue(Buffer.from("last"));
            controller.close();
          },
        }),
      ),
  );
  await using gateway = await testRuntime(yamlOf(routesTo(upstream.url)), { plugins: [identity, broken] });
  const answer = await gateway.fetch("/app/stream");
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value!).toString()).toBe("first");
  await gateway.clock.advance(1_500);
  expect(gateway.requests).toEqual([]);
  gate.resolve();
  while (!(await reader.read()).done);
  const line = await gateway.request(1);
  expect(line).toMatchObject({ first_byte_ms: 0, duration_ms: 1_500, bytes_out: 9, status: 200 });
  expect(gateway.requests).toHaveLength(1);
});

test("who failed, through whom and why: client, gateway, plugin, upstream", async () => {
  await using upstream = await fakeUpstream((request) =>
    request.url.endsWith("/500") ? new Response("no", { status: 503 }) : Response.error(),
  );
  await using gone = await fakeUpstream(() => new Response(""));
  await gone.close();
  const yaml = `${yamlOf(routesTo(upstream.url))}  - { name: gone, match: { path: /gone }, upstream: gone }
`.replace("upstreams: {", `upstreams: { gone: { targets: ["${gone.url}"] },`);
  await using gateway = await testRuntime(yaml, { plugins: [identity, broken] });
  await gateway.fetch("/nowhere");
  await gateway.fetch("/broken");
  await gateway.fetch("/app/500");
  await gateway.fetch("/gone");
  await gateway.request(4);
  expect(
    gateway.requests.map(({ status, failed, reason, step, upstream: name }) => [
      status,
      failed,
      reason,
      step,
      name,
    ]),
  ).toEqual([
    [404, "client", "no_route", undefined, undefined],
    [500, "plugin", "plugin_failed", "broken[0]", undefined],
    [503, "upstream", "status", undefined, "app"],
    [502, "upstream", "connect", undefined, "gone"],
  ]);
  // The plugin's words are for the log, beside the request's id, and not for the client.
  const line = await gateway.line((one) => one["level"] === "error");
  expect(line).toMatchObject({ request_id: gateway.requests[1]!["request_id"], route: "broken" });
  expect(JSON.stringify(line["err"])).toContain("the plugin's own words");
});

test("a client that leaves is told of, and the answer as not complete", async () => {
  await using upstream = await fakeUpstream(
    () => new Response(new ReadableStream({ start: (c) => c.enqueue(Buffer.from("first")) })),
  );
  await using gateway = await testRuntime(yamlOf(routesTo(upstream.url)), { plugins: [identity, broken] });
  const client = await gateway.connect(gateway.address(), "GET /app/x HTTP/1.1\r\nhost: h\r\n\r\n");
  await client.until("first");
  client.reset();
  expect(await gateway.request(1)).toMatchObject({
    ...{ status: 200, complete: false, failed: "client", reason: "client.gone", bytes_out: 5 },
  });
});

test("what a codec refuses has its line as well", async () => {
  await using gateway = await testRuntime(yamlOf(routesTo("http://127.0.0.1:1")), {
    plugins: [identity, broken],
  });
  const target = `/${"x".repeat(9_000)}?token=secret-1`;
  for (const request of [
    `GET ${target} HTTP/1.1\r\nhost: h\r\n\r\n`,
    "GET /a?token=secret-1 HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
  ])
    await (await gateway.connect(gateway.address(), request)).ended();
  expect(await gateway.request(2)).toMatchObject({
    ...{ status: 400, failed: "client", client: "127.0.0.1", method: "GET", target: "/a?token=***" },
  });
  expect(await gateway.request(1)).toMatchObject({ status: 414, failed: "client" });
  expect(gateway.texts.join("\n")).not.toContain("secret-1");
});

test("hostile values: long ones are cut, and no byte that a client sends makes a line of its own or acts on a terminal", async () => {
  await using gateway = await testRuntime(yamlOf(`routes: [{ respond: { status: 204 } }]\n`));
  const client = await gateway.connect(gateway.address());
  const agent = `\x9b2J\x85\xff"{}\\n${"a".repeat(5_000)}`;
  const method = "M".repeat(1_000);
  await client.send(
    `${method} /%0a%22?a=%0d%0a{"level":"error"}&${"k".repeat(2_000)} HTTP/1.1\r\nhost: h\r\nuser-agent: ${agent}\r\n\r\n`,
  );
  await client.until("HTTP/1.1");
  const line = await gateway.request(1);
  for (const key of ["user_agent", "target", "method"])
    expect(String(line[key]).length).toBeLessThanOrEqual(513);
  expect(String(line["target"])).toBe("/%0a%22?a=***&***");
  const text = gateway.texts.find((one) => one.includes('"msg":"request"'))!;
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  expect(text).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
});

test("names of `redact` mask what the line takes from a header", async () => {
  const yaml = yamlOf(`log: { redact: [User-Agent, Host] }\nroutes: [{ respond: { status: 204 } }]\n`);
  await using gateway = await testRuntime(yaml);
  await gateway.fetch("/", { headers: { "user-agent": "somebody" } });
  expect(await gateway.request(1)).toMatchObject({ user_agent: "***", host: "***" });
});

test("a gRPC call's protocol and status are in its line; a status that is none is left out", async () => {
  const upstream = `upstreams: { app: { targets: ["http://127.0.0.1:1"] } }\n`;
  await using gateway = await testRuntime(
    yamlOf(`${upstream}routes: [{ match: { path: /a/* }, upstream: app }]\n`),
  );
  for (const path of ["/a/Echo", "/b/Echo"])
    await gateway.fetch(path, {
      ...{ method: "POST", body: new Uint8Array(5), headers: { "content-type": "application/grpc" } },
    });
  await gateway.request(2);
  expect(gateway.requests.map((line) => [line["protocol"], line["status"], line["grpc_status"]])).toEqual([
    ["grpc", 200, 14],
    ["grpc", 200, 12],
  ]);

  await using odd = await fakeUpstream(() => new Response("x", { headers: { "grpc-status": "many\u0041" } }));
  const next = yamlOf(`upstreams: { app: { targets: ["${odd.url}"] } }\nroutes: [{ upstream: app }]\n`);
  expect((await gateway.reload(next)).ok).toBe(true);
  await gateway.fetch("/x", { method: "POST", headers: { "content-type": "application/grpc" } });
  expect(await gateway.request(3)).not.toHaveProperty("grpc_status");
  // Their HTTP status is 200 whatever became of them.
  const counted = (await gateway.metrics()).match(/^sluice_grpc_calls_total.*$/gm);
  expect(counted?.toSorted()).toEqual([
    'sluice_grpc_calls_total{route="",grpc_status="12"} 1',
    'sluice_grpc_calls_total{route="routes[0]",grpc_status="14"} 1',
    'sluice_grpc_calls_total{route="routes[0]",grpc_status="none"} 1',
  ]);
});

test("the access log can be turned off, and on again by a reload", async () => {
  const yaml = (access: boolean): string =>
    yamlOf(`log: { access: ${access} }\nroutes: [{ respond: { status: 204 } }]\n`);
  await using gateway = await testRuntime(yaml(false));
  await gateway.fetch("/off");
  expect((await gateway.reload(yaml(true))).ok).toBe(true);
  await gateway.fetch("/on");
  expect(await gateway.request(1)).toMatchObject({ target: "/on" });
  expect(gateway.requests).toHaveLength(1);
});
