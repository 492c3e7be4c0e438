import { describe, expect, test } from "bun:test";
import { maskedConfig } from "../masked.ts";
import { check, configOf } from "../testing/check.ts";
import type { Config, UpstreamConfig } from "../types.ts";

/* What the keys of an upstream become. What is refused and warned of stands in config/broken. */

const configWith = (keys: string, env = {}): Promise<Config> =>
  configOf(`version: 1\nupstreams: { web: { ${keys} } }\nroutes: [{ upstream: web }]\n`, { env });

const upstreamWith = async (keys: string, env = {}): Promise<UpstreamConfig> =>
  (await configWith(keys, env)).upstreams[0]!;

const TARGETS = "targets: ['http://127.0.0.1:9000', 'http://127.0.0.1:9001']";

async function plainOf(keys: string): Promise<Record<string, unknown>> {
  const masked = maskedConfig(await configWith(keys)) as { upstreams: { web: Record<string, unknown> } };
  return masked.upstreams.web;
}

test("targets have weights, priorities and names of SRV records", async () => {
  const { targets } = await upstreamWith(
    "targets: ['https+srv://_http._tcp.api.internal/v1', { url: 'http://127.0.0.1:9000', weight: 0.5, priority: 1 }]",
  );
  expect(targets).toEqual([
    {
      url: "https+srv://_http._tcp.api.internal/v1",
      scheme: "https",
      host: "_http._tcp.api.internal",
      port: 0,
      socketPath: undefined,
      basePath: "/v1",
      srv: true,
      weight: 1,
      priority: 0,
    },
    expect.objectContaining({ port: 9_000, srv: false, weight: 0.5, priority: 1 }),
  ]);
});

describe("balance", () => {
  test.each([
    ["path", [{ from: "path" }]],
    ["{ header: X-User }", [{ from: "header", name: "x-user" }]],
    [
      "[{ cookie: Session }, { query: User }, host]",
      [{ from: "cookie", name: "Session" }, { from: "query", name: "User" }, { from: "host" }],
    ],
  ])("hash: %s", async (written, hash) => {
    const { balance, ...rest } = await upstreamWith(`${TARGETS}, balance: consistent-hash, hash: ${written}`);
    expect([balance, rest.hash]).toEqual(["consistent-hash", hash as never]);
  });

  test.each(["round-robin", "least-request", "ewma", "random"])("%s", async (balance) => {
    expect((await upstreamWith(`${TARGETS}, balance: ${balance}`)).balance).toBe(balance as never);
  });

  test("the name of a cookie is no secret, and is shown", async () => {
    expect(await plainOf(`${TARGETS}, balance: consistent-hash, hash: { cookie: web }`)).toMatchObject({
      hash: [{ cookie: "web" }],
      targets: [{ url: "http://127.0.0.1:9000" }, {}],
    });
  });

  test("slow start and the panic threshold", async () => {
    const { slowStart, panicThreshold } = await upstreamWith(
      `${TARGETS}, slow_start: 30s, panic_threshold: 50%, outlier: {}`,
    );
    expect([slowStart, panicThreshold]).toEqual([30_000, 0.5]);
  });
});

describe("health", () => {
  const DEFAULTS = {
    ...{ path: "", method: "GET", host: undefined, headers: [], statuses: [[200, 299]], body: undefined },
    ...{ service: "", interval: 5_000, timeout: 2_000, fall: 3, rise: 2 },
  };

  test.each([
    ["path: /up", "http1", { kind: "http", path: "/up" }],
    ["path: '/up?deep=1', method: HEAD", "grpc", { kind: "http", path: "/up?deep=1", method: "HEAD" }],
    ["tcp: true", "http1", { kind: "tcp" }],
    ["grpc: true", "http2", { kind: "grpc" }],
    ["grpc: {}", "grpc", { kind: "grpc" }],
    ["grpc: { service: a.B }, host: b", "grpc", { kind: "grpc", service: "a.B", host: "b" }],
  ])("%s", async (written, protocol, health) => {
    const upstream = await upstreamWith(`${TARGETS}, protocol: ${protocol}, health: { ${written} }`);
    expect(upstream.health).toEqual({ ...DEFAULTS, ...health } as never);
  });

  test("the default timeout is no longer than the interval", async () => {
    const { health } = await upstreamWith(`${TARGETS}, health: { tcp: true, interval: 1s }`);
    expect(health).toMatchObject({ interval: 1_000, timeout: 1_000 });
  });

  test.each([
    ["204", [[204, 204]]],
    ["2xx", [[200, 299]]],
    [
      "[200, '301-399', 4XX]",
      [
        [200, 200],
        [301, 399],
        [400, 499],
      ],
    ],
  ])("status: %s", async (written, statuses) => {
    const { health } = await upstreamWith(`${TARGETS}, health: { path: /, status: ${written} }`);
    expect(health?.statuses).toEqual(statuses as never);
  });

  test("credentials of a check are not shown", async () => {
    const plain = await plainOf(
      `${TARGETS}, health: { path: /, headers: { Authorization: Bearer x, X-A: b }, status: [200-299, 404], body: ok }`,
    );
    expect(plain["health"]).toEqual({
      path: "/",
      method: "GET",
      headers: { authorization: "***", "x-a": "b" },
      status: ["2xx", "404"],
      body: "ok",
      interval: "5s",
      timeout: "2s",
      fall: 3,
      rise: 2,
    });
  });
});

test("outlier is all defaults, or what is written", async () => {
  expect((await upstreamWith(`${TARGETS}, outlier: {}`)).outlier).toEqual({
    consecutiveFailures: 5,
    on: ["connect", "reset", "timeout", "5xx"],
    baseEjection: 30_000,
    maxEjection: 300_000,
    maxEjected: 0.5,
  });
  const upstream = await upstreamWith(
    `${TARGETS}, protocol: grpc, outlier: { consecutive_failures: 1, on: [unavailable, 503, "503"], max_ejected: 0.1 }`,
  );
  expect(upstream.outlier).toMatchObject({
    consecutiveFailures: 1,
    on: ["unavailable", "503"],
    maxEjected: 0.1,
  });
});

describe("retries", () => {
  const DEFAULTS = {
    attempts: 2,
    on: ["connect", "reset"],
    methods: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"],
    perTryTimeout: undefined,
    backoff: { base: 25, max: 250 },
    maxRetryAfter: 1_000,
    maxBody: 65_536,
    budget: { ratio: 0.2, min: 10, window: 10_000 },
  };

  test.each(["http1", "grpc"])("are the safe ones by default over %s", async (protocol) => {
    const { retries } = await upstreamWith(`${TARGETS}, protocol: ${protocol}, retries: {}`);
    expect(retries).toEqual(DEFAULTS);
  });

  test("everything can be written", async () => {
    const { retries } = await upstreamWith(
      `${TARGETS}, protocol: grpc, retries: { attempts: 3, on: [unavailable, data-loss], methods: [post, POST], per_try_timeout: 1s, backoff: { base: 1s, max: 2s }, max_retry_after: 3s, max_body: 1MiB, budget: { ratio: 10%, min: 0, window: 1m } }`,
    );
    expect(retries).toEqual({
      attempts: 3,
      on: ["unavailable", "data-loss"],
      methods: ["POST"],
      perTryTimeout: 1_000,
      backoff: { base: 1_000, max: 2_000 },
      maxRetryAfter: 3_000,
      maxBody: 1_048_576,
      budget: { ratio: 0.1, min: 0, window: 60_000 },
    });
  });

  test("methods may be none: then only what was never sent is tried again", async () => {
    expect((await upstreamWith(`${TARGETS}, retries: { methods: [] }`)).retries?.methods).toEqual([]);
  });
});

test.each([
  ["50ms", { ms: 50 }],
  ["p50", { percentile: 0.5 }],
  ["p95", { percentile: 0.95 }],
  ["p99.9", { percentile: 0.999 }],
])("hedge after %s", async (written, after) => {
  const keys = `${TARGETS}, hedge: { after: ${written} }`;
  expect((await upstreamWith(keys)).hedge).toMatchObject({ after, max: 1, ratio: 0.1 });
  expect((await plainOf(keys))["hedge"]).toMatchObject({ after: written, max: 1, ratio: "10%" });
});

test("a breaker goes by a ratio, by failures in a row, or by both", async () => {
  expect((await upstreamWith(`${TARGETS}, circuit_breaker: { failure_ratio: 50% }`)).circuitBreaker).toEqual({
    failureRatio: 0.5,
    minRequests: 20,
    window: 10_000,
    consecutiveFailures: undefined,
    openFor: 5_000,
    halfOpenRequests: 1,
  });
  const { circuitBreaker } = await upstreamWith(
    `${TARGETS}, circuit_breaker: { consecutive_failures: 3, open_for: 1s, half_open_requests: 2 }`,
  );
  expect(circuitBreaker).toMatchObject({
    failureRatio: undefined,
    consecutiveFailures: 3,
    openFor: 1_000,
    halfOpenRequests: 2,
  });
});

test("limits and bulkhead", async () => {
  const { limits, bulkhead } = await upstreamWith(
    `${TARGETS}, limits: { requests: 10, queue: 0 }, bulkhead: { concurrency: 2 }`,
  );
  expect(limits).toEqual({ requests: 10, queue: 0, queueTimeout: 1_000 });
  expect(bulkhead).toEqual({ concurrency: 2, queue: 0, queueTimeout: 1_000 });
});

test("DNS servers have a port", async () => {
  const { dns } = await upstreamWith(
    "targets: ['http://app.internal'], dns: { servers: [10.0.0.2, '10.0.0.2:54', 'fd00::2', '[fd00::2]', '[fd00::2]:54'], family: all, addresses: one, min_ttl: 2s, max_ttl: 2s, timeout: 1s }",
  );
  expect(dns).toEqual({
    servers: ["10.0.0.2:53", "10.0.0.2:54", "[fd00::2]:53", "[fd00::2]:53", "[fd00::2]:54"],
    family: "all",
    addresses: "one",
    minTtl: 2_000,
    maxTtl: 2_000,
    timeout: 1_000,
  });
});

test("numbers, shares and truth values may come from the environment", async () => {
  const upstream = await upstreamWith(
    `${TARGETS}, health: { tcp: "\${YES}" }, panic_threshold: "\${SHARE}", outlier: { max_ejected: "\${PERCENT}" }, limits: { requests: "\${N}" }, retries: { on: ["\${STATUS}"] }`,
    { YES: "true", SHARE: "0.25", PERCENT: "10%", N: "7", STATUS: "503" },
  );
  expect(upstream).toMatchObject({
    health: { kind: "tcp" },
    panicThreshold: 0.25,
    outlier: { maxEjected: 0.1 },
    limits: { requests: 7 },
    retries: { on: ["503"] },
  });
});

test("what has no effect is not shown", async () => {
  const plain = await plainOf(`${TARGETS}, circuit_breaker: { consecutive_failures: 3 }`);
  for (const key of ["hash", "dns", "limits", "health", "bulkhead"]) expect(plain).not.toHaveProperty(key);
  expect(plain["circuit_breaker"]).toEqual({
    consecutive_failures: 3,
    open_for: "5s",
    half_open_requests: 1,
  });
});

test("a fault in one key does not hide those of others", async () => {
  const { lines } = await check(
    `version: 1\nupstreams: { web: { ${TARGETS}, hash: {}, health: {}, retries: { on: [unavailable], attempts: 0 }, circuit_breaker: {} } }\nroutes: [{ upstream: web }]\n`,
  );
  expect(lines.map((line) => line.split(": ")[1])).toEqual([
    "upstreams.web.hash",
    "upstreams.web.health.path",
    "upstreams.web.retries.on[0]",
    "upstreams.web.retries.attempts",
    "upstreams.web.circuit_breaker.failure_ratio",
  ]);
});
