import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as grpc from "@grpc/grpc-js";
import { type Binary, startBinary } from "./binary.ts";

/* What no route matches, answered by the compiled binary in each caller's own protocol. */

let gateway: Binary;
beforeAll(async () => {
  gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
routes: [{ match: { host: known.test, path: /known, method: POST }, respond: { status: 204 } }]
`);
});
afterAll(() => gateway[Symbol.asyncDispose]());

const MESSAGE = "No route matches host, path and method.";

async function curl(
  ...args: string[]
): Promise<{ status: number; type: string; head: string; body: string }> {
  const format = "\n%{http_code} %{content_type}";
  const child = Bun.spawn(["curl", "-sSi", "-m", "10", "-w", format, ...args], { stdout: "pipe" });
  const text = await new Response(child.stdout).text();
  const end = text.lastIndexOf("\n");
  const [status = "", type = ""] = text.slice(end + 1).split(" ");
  const split = text.indexOf("\r\n\r\n");
  return {
    status: Number(status),
    type,
    head: text.slice(0, split).toLowerCase(),
    body: text.slice(split + 4, end),
  };
}

const url = (path: string): string => `http://${gateway.listener()}${path}`;

describe.each([["--http1.1"], ["--http2-prior-knowledge"]])("curl %s", (version) => {
  test.each<[string, string[]]>([
    ["an unknown host", ["-X", "POST", "/known"]],
    ["an unknown path", ["-X", "POST", "-H", "Host: known.test", "/unknown"]],
    ["another method", ["-H", "Host: known.test", "/known"]],
  ])("%s is 404, said as JSON", async (_what, args) => {
    const answer = await curl(version, ...args.map((arg) => (arg.startsWith("/") ? url(arg) : arg)));
    expect([answer.status, answer.type]).toEqual([404, "application/json"]);
    expect(JSON.parse(answer.body)).toEqual({
      error: {
        code: "not_found",
        message: MESSAGE,
        reason: "no_route",
        request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      },
    });
  });

  test("the known one is served", async () => {
    expect((await curl(version, "-X", "POST", "-H", "Host: known.test", url("/known"))).status).toBe(204);
  });

  test("HEAD has no body, and the length that GET's has", async () => {
    const { status, head, body } = await curl(version, "-I", url("/unknown"));
    expect([status, body]).toEqual([404, ""]);
    expect(head).toContain("content-type: application/json");
  });

  test("a Connect call is unimplemented, as its protocol says it", async () => {
    const unary = ["-H", "content-type: application/json", "-H", "connect-protocol-version: 1", "-d", "{}"];
    const answer = await curl(version, ...unary, url("/a.B/C"));
    expect([answer.status, answer.type]).toEqual([501, "application/json"]);
    expect(JSON.parse(answer.body)).toEqual({ code: "unimplemented", message: MESSAGE });
  });

  test("a Connect stream ends with the error in its last message", async () => {
    const stream = ["-H", "content-type: application/connect+json", "-d", "{}"];
    const { status, type, body } = await curl(version, ...stream, url("/a.B/C"));
    expect([status, type]).toEqual([200, "application/connect+json"]);
    // Connect's envelope: a flag byte (2 for the end of the stream), the length in four bytes.
    expect(body.charCodeAt(0)).toBe(2);
    expect(JSON.parse(body.slice(5))).toEqual({ error: { code: "unimplemented", message: MESSAGE } });
  });

  test("a gRPC-Web call is status 12", async () => {
    const call = ["-H", "content-type: application/grpc-web+proto", "-d", ""];
    const { status, head } = await curl(version, ...call, url("/a.B/C"));
    expect(status).toBe(200);
    expect(head).toContain("\r\ngrpc-status: 12\r\n");
  });
});

test("a gRPC call is UNIMPLEMENTED", async () => {
  const client = new grpc.Client(gateway.listener(), grpc.credentials.createInsecure());
  const pass = (value: Buffer): Buffer => value;
  const error = await new Promise<grpc.ServiceError | null>((resolve) => {
    client.makeUnaryRequest("/a.B/C", pass, pass, Buffer.alloc(0), (failed) => resolve(failed));
  });
  client.close();
  expect([error?.code, error?.details]).toEqual([grpc.status.UNIMPLEMENTED, MESSAGE]);
});

test("each is in the log as its caller's failure", async () => {
  await gateway.line((line) => line["protocol"] === "grpc");
  const requests = gateway.lines.filter((line) => line["msg"] === "request" && line["status"] !== 204);
  expect(requests.length).toBeGreaterThan(10);
  for (const line of requests) expect(line).toMatchObject({ failed: "client", reason: "no_route" });
});
