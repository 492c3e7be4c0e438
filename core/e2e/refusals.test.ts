import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Binary, startBinary } from "./binary.ts";
import { startHttpUpstream } from "./http-upstream.ts";
import { type RawAnswer, sendRaw } from "./raw-client.ts";

/*
 * Malformed and oversized requests over raw connections to the compiled binary: their status, an error that says
 * which, a connection that is closed, and an upstream that sees nothing. core/http1 has many more of them.
 */

let gateway: Binary;
const reached: string[] = [];
const open = new AsyncDisposableStack();

beforeAll(async () => {
  const upstream = open.use(
    startHttpUpstream("http", (request) => {
      reached.push(`${request.method} ${new URL(request.url).pathname}`);
      return undefined;
    }),
  );
  gateway = open.use(
    await startBinary(`version: 1
listeners:
  - address: 127.0.0.1:0
    limits: { body: 1KiB, url: 100, header_bytes: 1KiB, header_count: 10, header_timeout: 200ms, body_timeout: 200ms }
upstreams: { http: { targets: ["http://127.0.0.1:${upstream.port}"] } }
routes: [{ match: { path: /* }, upstream: http }]
`),
  );
});
afterAll(() => open.disposeAsync());

const HOST = "Host: a.test\r\n";
const post = (fields: string, body = ""): string => `POST /never HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const get = (fields: string, target = "/never"): string => `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`;

test.each<[string, string, number, string, string]>([
  ["no Host", "GET /never HTTP/1.1\r\n\r\n", 400, "bad_request", "malformed.host.missing"],
  ["two Hosts", get("Host: b.test\r\n"), 400, "bad_request", "malformed.host.duplicate"],
  ["no request line", "hello\r\n\r\n", 400, "bad_request", "malformed.start_line"],
  ["a bare LF", `GET /never HTTP/1.1\n${HOST}\r\n`, 400, "bad_request", "malformed.line_terminator"],
  ["a folded field", get("A: b\r\n c: d\r\n"), 400, "bad_request", "malformed.obs_fold"],
  ["a space before the colon", get("A : b\r\n"), 400, "bad_request", "malformed.space_before_colon"],
  ["NUL in a value", get("A: b\0\r\n"), 400, "bad_request", "malformed.field_value"],
  [
    "both framings",
    post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    400,
    "bad_request",
    "malformed.framing.both",
  ],
  [
    "two lengths",
    post("Content-Length: 1\r\nContent-Length: 2\r\n", "xy"),
    400,
    "bad_request",
    "malformed.content_length.duplicate",
  ],
  [
    "an unknown coding",
    post("Transfer-Encoding: zip\r\n"),
    400,
    "bad_request",
    "malformed.transfer_encoding",
  ],
  [
    "an announced body over limits.body",
    post("Content-Length: 1025\r\n"),
    413,
    "payload_too_large",
    "limits.body",
  ],
  ["a target over limits.url", get("", `/${"a".repeat(100)}`), 414, "uri_too_long", "limits.url"],
  [
    "a header block over limits.header_bytes",
    get(`A: ${"a".repeat(1024)}\r\n`),
    431,
    "headers_too_large",
    "limits.header_bytes",
  ],
  [
    "more fields than limits.header_count",
    get("A: a\r\n".repeat(11)),
    431,
    "headers_too_large",
    "limits.header_count",
  ],
  ["a head that does not end", `GET /never HTTP/1.1\r\n${HOST}`, 408, "request_timeout", "timeout.head"],
  ["another version", get("").replace("/1.1", "/3.0"), 505, "http_version_not_supported", "http_version"],
  [
    "CONNECT",
    "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
    501,
    "not_implemented",
    "method.connect",
  ],
  [
    "an unknown expectation",
    post("Expect: magic\r\nContent-Length: 1\r\n"),
    417,
    "expectation_failed",
    "expect",
  ],
])(
  "%s: %p is %d, said as JSON, and the connection is closed",
  async (_what, request, status, code, reason) => {
    const from = gateway.lines.length;
    const answer = await sendRaw(gateway.port, request);
    expect(answer.status).toBe(status);
    expect(answer.head).toContain("connection: close");
    expect(answer.head).toContain("content-type: application/json");
    const { error } = JSON.parse(answer.body) as { error: Record<string, string> };
    expect(error).toMatchObject({ code, reason });
    const line = await gateway.line((one) => one["msg"] === "request", from);
    expect(line).toMatchObject({ status, reason, failed: "client", request_id: error["request_id"] });
  },
);

test("what follows a refused request on its connection is not read", async () => {
  const { head, body } = await sendRaw(
    gateway.port,
    post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    get("", "/smuggled"),
  );
  expect(head[0]).toBe("http/1.1 400 bad request");
  expect(body).toEndWith("}");
});

test("nothing of all this reached the upstream", () => {
  expect(reached).toEqual([]);
});

// These get as far as the upstream before it shows that they are refused.

const chunked = (...chunks: string[]): string[] => [
  post("Transfer-Encoding: chunked\r\n").replace("/never", "/begun"),
  ...chunks,
];

test.each<[string, string[], number, string]>([
  [
    "a chunked body that grows over limits.body",
    chunked(...Array.from({ length: 3 }, () => `200\r\n${"a".repeat(512)}\r\n`)),
    413,
    "limits.body",
  ],
  ["a chunk size that is none", chunked("5\r\nhello\r\n", "zz\r\n"), 400, "malformed.chunk"],
  ["a body that stops coming", chunked("5\r\nhello\r\n"), 408, "timeout.body"],
  [
    "a body shorter than announced that stops coming",
    [post("Content-Length: 10\r\n", "abc").replace("/never", "/begun")],
    408,
    "timeout.body",
  ],
])("%s is refused, and the connection is closed", async (_what, pieces, status, reason) => {
  const answer: RawAnswer = await sendRaw(gateway.port, ...pieces);
  expect(answer.status).toBe(status);
  expect(answer.head).toContain("connection: close");
  const { error } = JSON.parse(answer.body) as { error: Record<string, string> };
  expect(error["reason"]).toStartWith(reason);
});

test("a request that is right is served beside them", async () => {
  const answer = await fetch(`http://${gateway.listener()}/right`, {
    method: "POST",
    body: "a".repeat(1024),
  });
  expect(answer.status).toBe(200);
  expect(reached).toContain("POST /right");
});
