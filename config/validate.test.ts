import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { check, checkFile, configOf } from "./testing/check.ts";

const UPSTREAM = "upstreams: { web: { targets: ['http://127.0.0.1:9000'] } }\n";
const MINIMAL = `version: 1\n${UPSTREAM}routes: [{ upstream: web }]\n`;

test("a configuration without anything has the defaults that the reference names", async () => {
  const config = await configOf(MINIMAL);
  expect(config).toMatchObject({
    listeners: [
      {
        address: { kind: "tcp", host: "0.0.0.0", port: 8080 },
        protocols: ["http1", "http2", "grpc"],
        tls: undefined,
        proxyProtocol: false,
        probes: { live: undefined, ready: undefined },
        limits: {
          headerBytes: 65_536,
          headerCount: 100,
          body: 4 * 2 ** 30,
          bufferedBody: 8 * 2 ** 20,
          url: 8_192,
          streams: 128,
          resets: 500,
          headerTimeout: 10_000,
          bodyTimeout: 30_000,
          idleTimeout: 75_000,
          connections: 50_000,
          connectionsPerAddress: 20_000,
        },
      },
    ],
    trustedProxies: [],
    admin: undefined,
    log: { level: "info", format: "json", access: true, redact: [] },
    shutdownTimeout: 30_000,
    plugins: [],
    upstreams: [
      {
        name: "web",
        kind: "http",
        protocol: "http1",
        targets: [
          {
            url: "http://127.0.0.1:9000",
            scheme: "http",
            basePath: "",
            weight: 1,
            priority: 0,
            srv: false,
          },
        ],
        balance: "round-robin",
        hash: [{ from: "address" }],
        slowStart: undefined,
        panicThreshold: 0,
        timeouts: { connect: 5_000, firstByte: 60_000, idle: 300_000, request: undefined },
        pool: { maxConnections: 1_024, idleTimeout: 60_000, maxAge: 3_600_000, maxPending: 1_024 },
        limits: { requests: undefined, queue: 1_024, queueTimeout: 1_000 },
        dns: {
          servers: [],
          family: "auto",
          addresses: "all",
          minTtl: 1_000,
          maxTtl: 300_000,
          timeout: 5_000,
        },
        tls: undefined,
        health: undefined,
        outlier: undefined,
        retries: undefined,
        hedge: undefined,
        circuitBreaker: undefined,
        bulkhead: undefined,
      },
    ],
    routes: [
      {
        name: "routes[0]",
        match: { hosts: [], path: undefined, methods: [], headers: [], query: [] },
        rewrite: undefined,
        steps: [],
        action: { kind: "upstream", upstream: "web" },
      },
    ],
  });
});

test("every key of the format arrives in the Config", async () => {
  const config = await configOf(`version: 1
workers: 1
store: memory
shutdown_timeout: 1m30s
trusted_proxies: [10.0.0.0/8, unix]
admin: { address: "[::1]:9", allow: [127.0.0.1] }
log: { level: debug, format: pretty, access: false, redact: [X-Secret] }
listeners:
  - address: "unix:./web.sock"
    protocols: [http2, grpc, http2]
    proxy_protocol: true
    probes: { live: /live, ready: /ready }
    limits: { body: 1MiB, resets: 5 }
upstreams:
  web:
    kind: http
    protocol: http2
    targets:
      - https://example.com/base/
      - { url: "unix:/run/app.sock", weight: 0.5 }
    balance: round-robin
    timeouts: { connect: none, first_byte: none, idle: 1s, request: 2m }
    pool: { max_connections: 1, idle_timeout: 5s, max_age: none, max_pending: 0 }
    tls: { server_name: internal, verify: false }
    health: { path: /up, interval: 1s, timeout: 500ms, fall: 1, rise: 4 }
    retries: { attempts: 3, on: [connect, 5xx, "503", 429] }
  calls: { protocol: grpc, targets: ["http://[::1]:9001"] }
routes:
  - name: one
    match:
      host: [Example.com, "*.EXAMPLE.org"]
      path: /api/:id/*
      method: get
      header: { X-Version: "2", x-flag: true }
      query: { page: "1", all: true }
    rewrite: { strip_prefix: /api, replace: /v2 }
    upstream: web
  - { match: { path: /calls }, upstream: calls }
  - { match: { path: /text }, respond: { status: 201, headers: { X-A: b }, body: hello } }
  - { match: { path: /data }, respond: { json: { a: [1, null] } } }
  - { match: { path: /null }, respond: { json: null, headers: { content-type: application/x } } }
  - { match: { path: /gone }, redirect: { to: /here } }
  - { match: { path: /moved }, redirect: { to: "https://example.com/", status: 308 } }
`);
  expect(config.shutdownTimeout).toBe(90_000);
  expect(config.trustedProxies).toEqual(["10.0.0.0/8", "unix"]);
  expect(config.admin).toMatchObject({
    address: { host: "::1", port: 9 },
    token: undefined,
    allow: ["127.0.0.1/32"],
  });
  expect(config.log).toEqual({ level: "debug", format: "pretty", access: false, redact: ["x-secret"] });
  expect(config.listeners[0]).toMatchObject({
    address: { kind: "unix", path: join(config.file, "../web.sock") },
    protocols: ["http2", "grpc"],
    proxyProtocol: true,
    probes: { live: "/live", ready: "/ready" },
    limits: { body: 1_048_576, resets: 5, headerCount: 100 },
  });
  expect(config.upstreams[0]).toMatchObject({
    protocol: "http2",
    targets: [
      {
        url: "https://example.com/base",
        scheme: "https",
        host: "example.com",
        port: 443,
        basePath: "/base",
        weight: 1,
      },
      { url: "unix:/run/app.sock", scheme: "unix", socketPath: "/run/app.sock", basePath: "", weight: 0.5 },
    ],
    timeouts: { connect: undefined, firstByte: undefined, idle: 1_000, request: 120_000 },
    pool: { maxConnections: 1, idleTimeout: 5_000, maxAge: undefined, maxPending: 0 },
    tls: { ca: undefined, cert: undefined, key: undefined, serverName: "internal", verify: false },
    health: { kind: "http", path: "/up", interval: 1_000, timeout: 500, fall: 1, rise: 4 },
    retries: { attempts: 3, on: ["connect", "5xx", "503", "429"] },
  });
  // Calls carry their own deadlines.
  expect(config.upstreams[1]?.timeouts.firstByte).toBeUndefined();
  expect(config.upstreams[1]?.targets[0]).toMatchObject({ host: "::1", port: 9_001 });
  expect(config.routes[0]).toMatchObject({
    name: "one",
    match: {
      hosts: ["example.com", "*.example.org"],
      path: "/api/:id/*",
      methods: ["GET"],
      headers: [
        ["x-version", "2"],
        ["x-flag", true],
      ],
      query: [
        ["page", "1"],
        ["all", true],
      ],
    },
    rewrite: { stripPrefix: "/api", replace: "/v2" },
  });
  expect(config.routes.slice(2).map(({ action }) => action)).toEqual([
    {
      kind: "respond",
      status: 201,
      headers: [
        ["x-a", "b"],
        ["content-type", "text/plain; charset=utf-8"],
      ],
      body: "hello",
    },
    { kind: "respond", status: 200, headers: [["content-type", "application/json"]], body: '{"a":[1,null]}' },
    { kind: "respond", status: 200, headers: [["content-type", "application/x"]], body: "null" },
    { kind: "redirect", status: 302, location: "/here" },
    { kind: "redirect", status: 308, location: "https://example.com/" },
  ]);
});

test("a listener with tls has absolute paths, and the files are watched", async () => {
  const parts = join(import.meta.dir, "broken/parts");
  const config = await configOf(`${MINIMAL}listeners:
  - tls: { cert: ${parts}/a.cert.pem, key: ${parts}/a.key.pem, client_ca: ${parts}/b.cert.pem, min_version: 1.3 }
`);
  expect(config.listeners[0]?.address).toEqual({ kind: "tcp", host: "0.0.0.0", port: 8443 });
  const files = ["a.cert.pem", "a.key.pem", "b.cert.pem"].map((name) => join(parts, name));
  const [cert, key, clientCa] = files;
  expect(config.listeners[0]?.tls).toEqual({ cert: cert!, key: key!, clientCa, minVersion: "1.3" });
  expect(config.files.slice(1).toSorted()).toEqual(files);
});

test("the Config is frozen all the way down", async () => {
  const { config } = await checkFile(join(import.meta.dir, "examples/proxy.yaml"), import.meta.dir);
  const seen = new Set<unknown>();
  function visit(value: unknown): void {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    expect(Object.isFrozen(value)).toBe(true);
    Object.values(value).forEach(visit);
  }
  visit(config);
  expect(seen.size).toBeGreaterThan(50);
});

describe("problems of whoever loads the plugins", () => {
  const place = { file: "/nowhere/main.yaml", line: 9, column: 9 };

  test("are sorted in and refuse the configuration", async () => {
    const found = [{ severity: "error", place, path: "plugins.x", message: "does not load" }] as const;
    const { config, lines } = await check(MINIMAL.replace("1", "2"), { found });
    expect(config).toBeUndefined();
    expect(lines).toEqual([
      "main.yaml:1:10: version: expected 1, got the number 2",
      "/nowhere/main.yaml:9:9: plugins.x: does not load",
    ]);
  });

  test("warnings do not", async () => {
    const found = [{ severity: "warning", place, path: "plugins.x", message: "calls itself y" }] as const;
    const { config, lines } = await check(MINIMAL, { found });
    expect(config).toBeDefined();
    expect(lines).toEqual(["/nowhere/main.yaml:9:9: warning: plugins.x: calls itself y"]);
  });
});
