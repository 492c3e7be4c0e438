import { expect, test } from "bun:test";
import { definePlugin } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { z } from "zod";
import { testRuntime, yamlOf } from "../runtime/test-runtime.ts";

/* The metrics of real traffic, as somebody who scrapes sees them. */

const throws = definePlugin({
  ...{ apiVersion: 1, name: "throws", description: "Throws where the path says so." },
  schema: z.strictObject({}),
  setup: () => ({
    async handle(c, next) {
      if (c.req.path === "/p/throw") throw new Error("no");
      await next();
    },
  }),
});

/** Throws what cannot be looked at. */
const hostile = definePlugin({
  ...{ apiVersion: 1, name: "hostile", description: "Throws what nobody can look at." },
  schema: z.strictObject({}),
  setup: () => ({
    handle() {
      const thrown = new Error("x");
      Object.defineProperty(thrown, "stack", {
        get() {
          throw new Error("no");
        },
      });
      throw thrown;
    },
  }),
});

const yaml = (url: string): string =>
  yamlOf(`upstreams: { app: { targets: ["${url}"] } }
routes:
  - { name: p, match: { path: /p/* }, pipeline: [throws], upstream: app }
  - { name: h, match: { path: /h }, pipeline: [hostile], respond: { status: 200 } }
`);

/** Values by name and labels. */
function parse(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const at = line.lastIndexOf(" ");
    values.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return values;
}

test("the metrics that operators are promised exist, and count", async () => {
  await using upstream = await fakeUpstream(() => new Response("hello"));
  await using gateway = await testRuntime(yaml(upstream.url), { plugins: [throws, hostile] });
  await (await gateway.fetch("/p/a", { method: "POST", body: "four" })).text();
  await (await gateway.fetch("/p/throw")).text();
  await (await gateway.fetch("/nowhere")).text();
  await (await gateway.connect(gateway.address(), "GET / HTTP/9.9\r\n\r\n")).ended();
  await gateway.request(4);
  const text = await gateway.metrics();
  const values = parse(text);
  const expected: Record<string, number> = {
    'sluice_requests_total{route="p",protocol="http",status="200"}': 1,
    'sluice_requests_total{route="p",protocol="http",status="500"}': 1,
    'sluice_requests_total{route="",protocol="http",status="404"}': 1,
    'sluice_request_duration_seconds_count{route="p",protocol="http"}': 2,
    'sluice_overhead_seconds_count{route="p"}': 2,
    'sluice_request_bytes_total{route="p"}': 4,
    'sluice_request_failures_total{route="p",failed="plugin",reason="plugin_failed"}': 1,
    'sluice_request_failures_total{route="",failed="client",reason="no_route"}': 1,
    [`sluice_upstream_requests_total{upstream="app",target="${upstream.url}",status="200"}`]: 1,
    'sluice_upstream_duration_seconds_count{upstream="app"}': 1,
    [`sluice_upstream_requests_in_flight{upstream="app",target="${upstream.url}"}`]: 0,
    'sluice_plugin_duration_seconds_count{plugin="throws",route="p"}': 2,
    'sluice_plugin_failures_total{plugin="throws",route="p",kind="error"}': 1,
    sluice_active_requests: 0,
    sluice_config_generation: 1,
    sluice_log_lines_dropped_total: 0,
  };
  for (const [name, value] of Object.entries(expected))
    expect([name, values.get(name)]).toEqual([name, value]);
  expect(text).toMatch(/sluice_rejected_requests_total\{code="http_version_not_supported",[^}]*\} 1/);
  const process_ = [
    "cpu_seconds_total",
    "resident_memory_bytes",
    "heap_bytes",
    "start_time_seconds",
    "open_fds",
  ];
  for (const name of process_) expect(values.get(`process_${name}`)).toBeGreaterThan(0);
});

test("requests under way are counted while they are", async () => {
  const gate = Promise.withResolvers<void>();
  await using upstream = await fakeUpstream(async () => {
    await gate.promise;
    return new Response("late");
  });
  await using gateway = await testRuntime(yaml(upstream.url), { plugins: [throws, hostile] });
  const answer = gateway.fetch("/p/slow");
  await upstream.received(1);
  const during = parse(await gateway.metrics());
  expect(during.get("sluice_active_requests")).toBe(1);
  expect(during.get(`sluice_upstream_requests_in_flight{upstream="app",target="${upstream.url}"}`)).toBe(1);
  gate.resolve();
  await (await answer).text();
  await gateway.request(1);
  expect(parse(await gateway.metrics()).get("sluice_active_requests")).toBe(0);
});

test("overhead leaves out the wait for the upstream", async () => {
  const gate = Promise.withResolvers<void>();
  await using upstream = await fakeUpstream(async () => {
    await gate.promise;
    return new Response("late");
  });
  await using gateway = await testRuntime(yaml(upstream.url), { plugins: [throws, hostile] });
  const answer = gateway.fetch("/p/slow");
  await upstream.received(1);
  await gateway.clock.advance(3_000);
  gate.resolve();
  await (await answer).text();
  await gateway.request(1);
  const values = parse(await gateway.metrics());
  expect(values.get('sluice_request_duration_seconds_sum{route="p",protocol="http"}')).toBe(3);
  expect(values.get('sluice_overhead_seconds_sum{route="p"}')).toBe(0);
  expect(values.get('sluice_upstream_duration_seconds_sum{upstream="app"}')).toBe(3);
});

test("no client makes label values: methods, hosts, paths, queries, headers", async () => {
  await using gateway = await testRuntime(yaml("http://127.0.0.1:1"), { plugins: [throws, hostile] });
  const names = async (): Promise<string[]> =>
    [...parse(await gateway.metrics()).keys()].filter((name) => name.startsWith("sluice_")).sort();
  const ask = async (n: number): Promise<void> => {
    const client = await gateway.connect(
      gateway.address(),
      `M${n} /path-${n}?q=${n} HTTP/1.1\r\nhost: host-${n}.test\r\nuser-agent: a${n}\r\nconnection: close\r\n\r\n`,
    );
    await client.ended();
  };
  await ask(0);
  await gateway.request(1);
  const before = await names();
  for (let n = 1; n <= 20; n++) await ask(n);
  await gateway.request(21);
  expect(await names()).toEqual(before);
});

test("what a plugin throws cannot break the bookkeeping", async () => {
  await using gateway = await testRuntime(yaml("http://127.0.0.1:1"), { plugins: [throws, hostile] });
  expect((await gateway.fetch("/h")).status).toBe(500);
  expect(await gateway.request(1)).toMatchObject({ status: 500, failed: "plugin", step: "h[0]" });
  const line = await gateway.line((one) => one["level"] === "error");
  expect(line["err"]).toBeDefined();
  expect(parse(await gateway.metrics()).get("sluice_active_requests")).toBe(0);
});

test("log lines that nobody took are counted", async () => {
  let dropped = 0;
  await using gateway = await testRuntime(yamlOf("routes: [{ respond: { status: 204 } }]\n"), {
    dropped: () => dropped,
  });
  dropped = 17;
  const text = await gateway.metrics();
  expect(text).toContain("# TYPE sluice_log_lines_dropped_total counter\n");
  expect(text).toContain("\nsluice_log_lines_dropped_total 17\n");
});

test("the summary says the same in short", async () => {
  await using gateway = await testRuntime(yaml("http://127.0.0.1:1"), { plugins: [throws, hostile] });
  await gateway.fetch("/nowhere");
  await gateway.request(1);
  expect(await (await gateway.ask("/metrics/summary")).json()).toMatchObject({
    ...{ requests_total: 1, active_requests: 0, request_failures_total: 1, upstream_requests_total: 0 },
  });
});

test("a client that leaves is no failure of the upstream", async () => {
  const gate = Promise.withResolvers<void>();
  await using upstream = await fakeUpstream(async () => {
    await gate.promise;
    return new Response("late");
  });
  await using gateway = await testRuntime(yaml(upstream.url), { plugins: [throws, hostile] });
  const client = await gateway.connect(gateway.address(), "GET /p/slow HTTP/1.1\r\nhost: h\r\n\r\n");
  await upstream.received(1);
  client.reset();
  await gateway.request(1);
  gate.resolve();
  const text = await gateway.metrics();
  expect(text).toMatch(/sluice_upstream_requests_total\{[^}]*status="cancelled"\} 1/);
  expect(text).not.toMatch(/sluice_upstream_failures_total\{/);
  expect(text).toMatch(/sluice_request_failures_total\{[^}]*failed="client",reason="client.gone"\} 1/);
});
