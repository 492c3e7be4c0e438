import { expect, test } from "bun:test";
import { startBinary } from "./binary.ts";
import { startCheckingUpstream } from "./checking-upstream.ts";
import { randomTraffic } from "./random-traffic.ts";

/* The small version of scripts/soak-requests.ts, which says what such a request may be. */

test("2,000 random requests arrive and are answered byte for byte, and nothing is left over", async () => {
  using upstream = startCheckingUpstream();
  await using gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
upstreams:
  checking: { targets: ["http://127.0.0.1:${upstream.port}"] }
routes:
  - { name: all, match: { path: /* }, upstream: checking }
`);
  const report = await randomTraffic({ port: gateway.port, requests: 2_000, connections: 16, seed: 20_002 });
  expect(report.wrong).toEqual([]);
  expect(upstream.counts.wrong).toBe(0);
  expect(report.good + report.brokenOff + report.left).toBe(2_000);
  expect(report.brokenOff).toBeGreaterThan(0);
  expect(report.left).toBeGreaterThan(0);
  gateway.signal("SIGTERM");
  // 4 would say that a request was still under way.
  expect(await gateway.exited).toBe(0);
  expect(upstream.counts.open).toBe(0);
});
