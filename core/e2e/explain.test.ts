import { describe, expect, test } from "bun:test";
import { EXAMPLES } from "../../config/testing/corpus.ts";
import { type Ended, runBinary, startBinary } from "./binary.ts";
import { startEchoServer } from "./grpc-echo.ts";
import { startHttpUpstream } from "./http-upstream.ts";
import { exampleOnPorts } from "./paths.ts";

/* `sluice explain` of the compiled binary on config/examples, to the letter, and the gateway's own word beside it. */

const explain = (file: string, ...args: string[]): Promise<Ended> =>
  runBinary(["explain", "-c", file, ...args], EXAMPLES);

describe("proxy.yaml", () => {
  test.each<[string, string[], string]>([
    [
      "weights and a rewritten path",
      ["GET", "/pair/a/../x?y=1"],
      `GET /pair/x?y=1 (host localhost)

  echo-grpc (proxy.yaml:23:5): no: path /pair/x does not match /t.Echo/*
  balanced (proxy.yaml:26:5): yes

route: balanced
steps: none
upstream: pair (http1, round-robin)
  http://127.0.0.1:19002 (weight 3, 75 % of requests)
  http://127.0.0.1:19003 (weight 1, 25 % of requests)
forwards: GET /x?y=1
`,
    ],
    [
      "a method that does not match",
      ["POST", "/pair/x"],
      `POST /pair/x (host localhost)

  echo-grpc (proxy.yaml:23:5): no: path /pair/x does not match /t.Echo/*
  balanced (proxy.yaml:26:5): no: method POST is not GET or HEAD
  v2 (proxy.yaml:30:5): no: header x-api-version is not "2"
  everything (proxy.yaml:33:5): yes

route: everything
steps: none
upstream: http (http1, round-robin)
  http://127.0.0.1:19000 (weight 1, 100 % of requests)
forwards: POST /pair/x
`,
    ],
    [
      "a header field",
      ["GET", "http://api.example.com:8080/any", "-H", "X-API-Version: 2"],
      `GET /any (host api.example.com:8080)

  echo-grpc (proxy.yaml:23:5): no: path /any does not match /t.Echo/*
  balanced (proxy.yaml:26:5): no: path /any does not match /pair/*
  v2 (proxy.yaml:30:5): yes

route: v2
steps: none
upstream: pair (http1, round-robin)
  http://127.0.0.1:19002 (weight 3, 75 % of requests)
  http://127.0.0.1:19003 (weight 1, 25 % of requests)
forwards: GET /any
`,
    ],
    [
      "a gRPC call",
      ["POST", "/t.Echo/Unary", "-H", "content-type: application/grpc"],
      `POST /t.Echo/Unary (host localhost)

  echo-grpc (proxy.yaml:23:5): yes

route: echo-grpc
steps: none
upstream: grpc (grpc, round-robin)
  http://127.0.0.1:19001 (weight 1, 100 % of requests)
forwards: POST /t.Echo/Unary
`,
    ],
  ])("%s", async (_what, args, stdout) => {
    expect(await explain("proxy.yaml", ...args)).toEqual({ code: 0, stdout, stderr: "" });
  });

  test("the gateway takes the routes that explain names", async () => {
    await using http = startHttpUpstream("http");
    await using heavy = startHttpUpstream("heavy");
    await using light = startHttpUpstream("light");
    await using echo = await startEchoServer();
    const ports = { 19000: http.port, 19001: echo.port, 19002: heavy.port, 19003: light.port };
    await using gateway = await startBinary(exampleOnPorts("proxy.yaml", { 18080: 0, 18081: 0, ...ports }));
    for (const [method, path, version] of [
      ["GET", "/pair", ""],
      ["DELETE", "/pair/%2e%2e/pair/x", ""],
      ["GET", "/pairs", "2"],
      ["GET", "/any?q=1", "3"],
      ["POST", "/t.Echo/", ""],
    ] as const) {
      const from = gateway.lines.length;
      await fetch(`http://${gateway.listener()}${path}`, { method, headers: { "x-api-version": version } });
      const line = await gateway.line((one) => one["msg"] === "request", from);
      const { stdout } = await explain("proxy.yaml", method, path, "-H", `x-api-version: ${version}`);
      expect(stdout).toContain(`\nroute: ${String(line["route"])}\n`);
    }
  });
});

test("plugin.yaml: steps of a third party's plugin", async () => {
  expect((await explain("plugin.yaml", "GET", "/")).stdout).toBe(`GET / (host localhost)

  routes[0] (plugin.yaml:11:5): yes

route: routes[0]
steps:
  1. shout [routes[0][0]] (timeout 10000 ms)
upstream: http (http1, round-robin)
  http://127.0.0.1:19000 (weight 1, 100 % of requests)
forwards: GET /
`);
});

test("an example with errors: the errors, exit 1, no explanation", async () => {
  const { code, stdout, stderr } = await explain("edge.yaml", "GET", "/");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toStartWith("edge.yaml:14:7: pipelines.edge[2].cors: ");
});
