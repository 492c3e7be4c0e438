import { expect, test } from "bun:test";
import { testCertificates } from "../listener/test-certificates.ts";
import { runBinary, startBinary } from "./binary.ts";
import { freePort } from "./free-port.ts";
import { startHttpUpstream } from "./http-upstream.ts";

/* `sluice health` asks a gateway that runs, both the compiled binary: what a container's health check does. */

const READY = { code: 0, stdout: '200 {"status":"ready"}\n', stderr: "" };

test.each([
  ["an address", () => `"127.0.0.1:${freePort()}"`],
  ["a unix socket", () => '"unix:./admin.sock"'],
])("by %s: ready, not ready while it drains, gone when it is", async (_what, address) => {
  const reached = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  await using upstream = startHttpUpstream("slow", async () => {
    reached.resolve();
    await held.promise;
    return new Response("done");
  });
  await using gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: ${address()}, token: "t0ken for nothing here" }
upstreams: { slow: { targets: ["http://127.0.0.1:${upstream.port}"] } }
routes: [{ match: { path: /* }, upstream: slow }]
`);
  // A proxy of the environment is not for this.
  const env = { HTTP_PROXY: "http://127.0.0.1:1", http_proxy: "http://127.0.0.1:1" };
  const health = () => runBinary(["health"], gateway.dir, env);
  expect(await health()).toEqual(READY);

  const answer = fetch(`http://${gateway.listener()}/`);
  await reached.promise;
  gateway.signal("SIGTERM");
  await gateway.line((line) => line["msg"] === "draining");
  // Whoever asked before is given the time to see it three times.
  for (let times = 0; times < 3; times++)
    expect(await health()).toEqual({ code: 1, stdout: '503 {"status":"not ready"}\n', stderr: "" });
  held.resolve();
  expect(await (await answer).text()).toBe("done");
  expect(await gateway.exited).toBe(0);
  const { code, stdout, stderr } = await health();
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^sluice: \S+ does not answer: (connection refused|no such socket)\n$/);
});

test("over TLS, the readiness probe of a gateway listener", async () => {
  using certificates = testCertificates();
  const pair = certificates.issue("server", "/CN=server", "DNS:localhost,IP:127.0.0.1");
  await using gateway = await startBinary(`version: 1
listeners:
  - { address: "127.0.0.1:0", tls: { cert: ${pair.cert}, key: ${pair.key} }, probes: { ready: /ready } }
routes: [{ respond: { status: 204 } }]
`);
  const url = `https://127.0.0.1:${gateway.port}/ready`;
  const trusted = await runBinary(["health", "--url", url, "--ca", certificates.ca], "/");
  expect([trusted.code, trusted.stderr]).toEqual([0, ""]);
  expect(trusted.stdout).toStartWith("200 ");
  const { code, stdout, stderr } = await runBinary(["health", "--url", url], "/");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^sluice: https:\S+ does not answer: .*certificate[^\n]*\n$/);
});
