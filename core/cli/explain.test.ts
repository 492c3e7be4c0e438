import { expect, test } from "bun:test";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { EXIT } from "./command.ts";
import { type Said, said } from "./test-terminal.ts";

/* `sluice explain` in full; core/e2e/explain.test.ts has the examples and compares with what the gateway does. */

const CONFIG = `version: 1
listeners: [{ address: "127.0.0.1:0" }]
upstreams:
  one: { targets: ["http://127.0.0.1:1"] }
  three: { protocol: http2, targets: [{ url: "http://127.0.0.1:1", weight: 2 }, "http://127.0.0.1:2", { url: "http://127.0.0.1:3", priority: 1 }] }
pipelines:
  edge:
    - plain
    - { sample: { word: a }, id: own, on_error: continue, timeout: 2s, when: { method: [GET], not: { host: a.test, header: { x-a: "1", x-b: true } } } }
routes:
  - name: host
    match: { host: [a.test, "*.b.test"], path: /only/* }
    upstream: one
  - name: fields
    match: { path: /fields, method: [POST, PUT], header: { x-a: "1", x-b: true }, query: { q: "v", r: true } }
    upstream: one
  - { name: tea, match: { path: /tea }, respond: { status: 418, body: tea } }
  - { name: old, match: { path: /old/:id }, redirect: { status: 308, to: /new } }
  - name: rewritten
    match: { path: /api/* }
    pipeline: [{ use: edge }, plain]
    rewrite: { strip_prefix: /api }
    upstream: three
  - { name: accent, match: { path: /é }, respond: { status: 204 } }
  - { name: options, match: { method: OPTIONS }, upstream: one }
`;

async function explained(...args: string[]): Promise<Said> {
  using dir = temporaryDir({ "sluice.yaml": CONFIG });
  return await said(["explain", "-c", `${dir.path}/sluice.yaml`, ...args], { cwd: dir.path });
}

/** What stands behind the verdicts. */
const decision = ({ out }: Said): string[] => out.split("\n").slice(out.split("\n").lastIndexOf("") + 1);

test("why each route before the taken one was not, to the letter", async () => {
  expect(await explained("GET", "/fields?q=w")).toEqual({
    code: EXIT.ok,
    err: "",
    out: `GET /fields?q=w (host localhost)

  host (sluice.yaml:11:5): no: host localhost is not a.test or *.b.test; path /fields does not match /only/*
  fields (sluice.yaml:14:5): no: method GET is not POST or PUT; header x-a is not "1"; header x-b is missing; query parameter q is not "v"; query parameter r is missing
  tea (sluice.yaml:17:5): no: path /fields does not match /tea
  old (sluice.yaml:18:5): no: path /fields does not match /old/:id
  rewritten (sluice.yaml:19:5): no: path /fields does not match /api/*
  accent (sluice.yaml:24:5): no: path /fields does not match /é
  options (sluice.yaml:25:5): no: method GET is not OPTIONS

route: none, answered 404 not_found`,
  });
});

test("steps in order with what differs from the default, the upstream with its shares, the path that is forwarded", async () => {
  expect(decision(await explained("GET", "/api/a/../b?x=1"))).toEqual([
    "route: rewritten",
    "steps:",
    "  1. plain [edge[0]] (timeout 10000 ms)",
    "  2. sample [own] (when method GET and not (host a.test and header x-a=1 and header x-b), on_error continue, timeout 2000 ms)",
    "  3. plain [rewritten[1]] (timeout 10000 ms)",
    "upstream: three (http2, round-robin)",
    "  http://127.0.0.1:1 (weight 2, 67 % of requests)",
    "  http://127.0.0.1:2 (weight 1, 33 % of requests)",
    "  http://127.0.0.1:3 (weight 1, priority 1: only while nobody before may be asked)",
    "forwards: GET /b?x=1",
  ]);
});

test.each([
  [
    ["GET", "/tea"],
    ["route: tea", "steps: none", "answer: 418 by the gateway"],
  ],
  [
    ["GET", "/old/7"],
    ["route: old", "steps: none", "answer: 308 to /new"],
  ],
  [
    ["POST", "/fields?q=v&r", "-H", "X-A: 1", "-H", "x-b:"],
    [
      "route: fields",
      "steps: none",
      "upstream: one (http1, round-robin)",
      "  http://127.0.0.1:1 (weight 1, 100 % of requests)",
      "forwards: POST /fields?q=v&r",
    ],
  ],
])("%j", async (args, lines) => {
  expect(decision(await explained(...args))).toEqual(lines);
});

test.each([
  [["GET", "http://x.B.test:8080/only/x"], "GET /only/x (host x.B.test:8080)", "route: host"],
  [["GET", "/only", "-H", "Host: a.test"], "GET /only (host a.test)", "route: host"],
  [["get", "tea"], "GET /tea (host localhost)", "route: tea"],
  [["GET", "https://localhost"], "GET / (host localhost)", "route: none, answered 404 not_found"],
  [["GET", "http://localhost?a=b"], "GET /?a=b (host localhost)", "route: none, answered 404 not_found"],
  [["OPTIONS", "*"], "OPTIONS * (host localhost)", "route: options"],
  [["OPTIONS", "http://localhost"], "OPTIONS * (host localhost)", "route: options"],
  [["GET", "/%74ea"], "GET /tea (host localhost)", "route: tea"],
  // A stranger's X-Forwarded-* and names with an underscore do not get in.
  [
    ["GET", "/fields?q=v&r", "-H", "X-A: 1", "-H", "x_b:"],
    "GET /fields?q=v&r (host localhost)",
    "route: none, answered 404 not_found",
  ],
  [["GET", "/é?ü=%C3"], "GET /%C3%A9?ü=%C3 (host localhost)", "route: accent"],
])("%j is the request %p", async (args, request, route) => {
  const { out } = await explained(...args);
  expect(out.split("\n")[0]).toBe(request);
  expect(out.split("\n")).toContain(route);
});

test.each([
  [["GET", "/%zz"], '"/%zz" would be answered 400: no valid target'],
  [["GET", "/a#b"], '"/a#b" would be answered 400: no valid target'],
  [["GET", "*"], '"*" would be answered 400: no valid target'],
  [["G[T", "/"], '"G[T" would be answered 400: no valid method'],
  [
    ["GET", "/", "-H", "connection: authorization"],
    "the headers would be answered 400: The Connection header names a field that is not its own.",
  ],
  [["CONNECT", "a.test:443"], "CONNECT would be answered 501: it is not served"],
  [["GET", "/", "-H", "nothing"], `expected -H 'name: value', got "nothing"`],
  [["GET", "/", "-H", ": empty"], `expected -H 'name: value', got ": empty"`],
  [["GET", "/", "-H", "two words: x"], `expected -H 'name: value', got "two words: x"`],
])("%j is no request that could be routed", async (args, message) => {
  const { code, err, out } = await explained(...args);
  expect([code, out, err.split("\n")[0]]).toEqual([EXIT.usage, "", `sluice explain: ${message}`]);
});

test("a configuration that is not valid explains nothing", async () => {
  using dir = temporaryDir({ "sluice.yaml": "version: 1\n" });
  const { code, out, err } = await said(["explain", "-c", `${dir.path}/sluice.yaml`, "GET", "/"], {
    cwd: dir.path,
  });
  expect([code, out]).toEqual([EXIT.failed, ""]);
  expect(err).toBe("sluice.yaml:1:1: routes: is missing, expected a list of routes");
});
