import { expect, test } from "bun:test";
import { testRuntime, yamlOf } from "../runtime/test-runtime.ts";

/* Who may ask the admin API. */

const ROUTES = "routes: [{ respond: { status: 204 } }]\n";
const TOKEN = "a-t0ken.for/tests+1=";
const withToken = yamlOf(ROUTES, `{ address: 127.0.0.1:0, token: "${TOKEN}" }`);
const PROTECTED = [
  "/health",
  "/metrics",
  "/metrics/summary",
  "/config",
  "/routes",
  "/upstreams",
  "/log-level",
];

const raw = (line: string, fields: readonly string[] = [], body = ""): string =>
  `${line} HTTP/1.1\r\n${["host: 127.0.0.1", "connection: close", ...fields].join("\r\n")}\r\n\r\n${body}`;

/** The status of an answer as it came. */
const statusOf = (answer: string): number => Number(answer.split(" ")[1]);

test("with a token every path but the two probes wants it, and nothing is told without", async () => {
  await using gateway = await testRuntime(withToken);
  for (const path of [...PROTECTED, "/nothing-here"]) {
    const answer = await gateway.ask(path);
    expect([path, answer.status]).toEqual([path, 401]);
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="sluice admin"');
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await answer.json()).toEqual({
      error: { code: "unauthenticated", message: "the admin API wants Authorization: Bearer TOKEN" },
    });
  }
  for (const [method, path] of [
    ["POST", "/config/reload"],
    ["PATCH", "/log-level"],
  ])
    expect((await gateway.ask(path!, { method: method! })).status).toBe(401);
  for (const path of ["/healthz", "/readyz"]) expect((await gateway.ask(path)).status).toBe(200);
});

test("the token is taken whole and nothing else is", async () => {
  await using gateway = await testRuntime(withToken);
  const ask = async (...authorization: string[]): Promise<number> => {
    const fields = authorization.map((value) => `authorization: ${value}`);
    return statusOf(await (await gateway.connect(gateway.admin, raw("GET /config", fields))).ended());
  };
  for (const right of [`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `BEARER   ${TOKEN}`])
    expect([right, await ask(right)]).toEqual([right, 200]);
  const wrong = [
    ...["", "Bearer", "Bearer ", `Bearer${TOKEN}`, TOKEN, `Basic ${TOKEN}`, `Bearer ${TOKEN}x`],
    ...[`Bearer ${TOKEN.slice(0, -1)}`, `Bearer ${TOKEN.toUpperCase()}`, `Bearer ${TOKEN} ${TOKEN}`],
    ...[`Bearer ${TOKEN}, Bearer ${TOKEN}`, `Bearer "${TOKEN}"`, `x Bearer ${TOKEN}`, "Bearer ***"],
    ...[`Bearer ${"x".repeat(20_000)}`, `Bearer \xff${TOKEN}`],
  ];
  for (const value of wrong) {
    const status = await ask(value);
    expect([value, status === 401 || status === 400]).toEqual([value, true]);
  }
  for (const several of [
    [`Bearer ${TOKEN}`, `Bearer ${TOKEN}`],
    ["Bearer wrong", `Bearer ${TOKEN}`],
    [`Bearer ${TOKEN}`, "Bearer wrong"],
  ])
    expect([400, 401]).toContain(await ask(...several));
});

test("no detour leads past the token", async () => {
  await using gateway = await testRuntime(withToken);
  const targets = [
    ...["/healthz/../config", "/healthz/%2e%2e/config", "/healthz%2f..%2fconfig", "/./config", "//config"],
    ...[
      "/config/",
      "/config?path=/healthz",
      "/CONFIG",
      "/%63onfig",
      "/healthz;/../config",
      "/config#/healthz",
    ],
    ...["http://127.0.0.1/config", "http://127.0.0.1/healthz/../config", "/readyz\\..\\config"],
  ];
  for (const target of targets) {
    const answer = await (await gateway.connect(gateway.admin, raw(`GET ${target}`))).ended();
    expect([target, [400, 401].includes(statusOf(answer))]).toEqual([target, true]);
    expect(answer).not.toContain("listeners");
  }
});

test("without a token reads from loopback are open and the rest is refused", async () => {
  await using gateway = await testRuntime(yamlOf(ROUTES));
  for (const path of PROTECTED) {
    expect([path, (await gateway.ask(path)).status]).toEqual([path, 200]);
    expect([path, (await gateway.ask(path, { method: "HEAD" })).status]).toEqual([path, 200]);
  }
  const refused = { code: "forbidden", message: "without admin.token only GETs from loopback are allowed" };
  for (const [method, path] of [
    ["POST", "/config/reload"],
    ["PATCH", "/log-level"],
    ["DELETE", "/config"],
    ["OPTIONS", "/config"],
  ]) {
    const answer = await gateway.ask(path!, { method: method!, headers: { authorization: "Bearer x" } });
    expect([method, answer.status]).toEqual([method, 403]);
    expect(await answer.json()).toEqual({ error: refused });
  }
});

test("a web page cannot use a browser on this machine", async () => {
  await using gateway = await testRuntime(yamlOf(ROUTES));
  // A name that resolves to 127.0.0.1 (DNS rebinding): the browser says which name it asked for.
  for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "2130706433"]) {
    const text = `GET /config HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
    expect([host, statusOf(await (await gateway.connect(gateway.admin, text)).ended())]).toEqual([host, 403]);
  }
  for (const host of ["127.0.0.1:9901", "localhost", "LOCALHOST:1", "[::1]:9901"]) {
    const text = `GET /config HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
    expect([host, statusOf(await (await gateway.connect(gateway.admin, text)).ended())]).toEqual([host, 200]);
  }
  // A form of another site needs no permission to post; it has no token, though.
  const form = [
    "origin: https://evil.example",
    "content-type: application/x-www-form-urlencoded",
    "content-length: 1",
  ];
  for (const yaml of [yamlOf(ROUTES), withToken]) {
    await using each = await testRuntime(yaml);
    const before = each.lines.length;
    const answer = await (await each.connect(each.admin, raw("POST /config/reload", form, "a"))).ended();
    expect([401, 403]).toContain(statusOf(answer));
    expect(answer.toLowerCase()).not.toContain("access-control-allow");
    expect(each.lines.slice(before).filter((line) => String(line["msg"]).startsWith("reload"))).toEqual([]);
  }
});

test("`allow` is asked before anything else, and a reload changes it", async () => {
  const yaml = (allow: string): string =>
    yamlOf(ROUTES, `{ address: 127.0.0.1:0, token: t, allow: [${allow}] }`);
  await using gateway = await testRuntime(yaml("10.0.0.0/8, 192.168.0.0/16"));
  for (const path of ["/config", "/healthz", "/readyz"]) {
    const answer = await gateway.ask(path, { headers: { authorization: "Bearer t" } });
    expect([path, answer.status]).toEqual([path, 403]);
    expect(await answer.text()).toContain("this address is not in admin.allow");
  }
  // A forwarding header is no address.
  const forged = { authorization: "Bearer t", "x-forwarded-for": "10.0.0.1", forwarded: "for=10.0.0.1" };
  expect((await gateway.ask("/config", { headers: forged })).status).toBe(403);
  expect((await gateway.reload(yaml("127.0.0.0/8"))).ok).toBe(true);
  expect((await gateway.ask("/config", { headers: { authorization: "Bearer t" } })).status).toBe(200);
  expect((await gateway.ask("/config")).status).toBe(401);
});

test("IPv4 clients of a socket on [::] are on loopback, too", async () => {
  await using gateway = await testRuntime(yamlOf(ROUTES, '{ address: "[::]:0", allow: [127.0.0.0/8] }'));
  const answer = await gateway.connect(gateway.admin, raw("GET /config"));
  expect(statusOf(await answer.ended())).toBe(200);
});

test("a unix socket is on loopback", async () => {
  await using gateway = await testRuntime(yamlOf(ROUTES, '{ address: "unix:./admin.sock" }'));
  const answer = await fetch("http://localhost/config", { unix: `${gateway.dir}/admin.sock` });
  expect(answer.status).toBe(200);
});
