import { afterAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import { startBinary } from "./binary.ts";
import { startCheckingUpstream } from "./checking-upstream.ts";
import { randomTraffic } from "./random-traffic.ts";

/*
 * Random requests through every policy of an upstream, on the compiled binary: bodies that are sent again arrive whole,
 * answers come once and byte for byte, and nothing is left over.
 */

const table = new CaseTable(
  "random requests",
  "policies",
  "requests",
  "right",
  "broken off",
  "left",
  "seen by targets",
);
afterAll(() => {
  process.stdout.write(String(table));
});

const REQUESTS = 1_500;

const RETRIES = `retries: { attempts: 3, on: [connect, reset, "500"], backoff: { base: 1ms, max: 2ms }, budget: { ratio: 100% }, max_body: 64KiB }`;
const HEDGE = "hedge: { after: 2ms, ratio: 90% }";
const LIMITS = "limits: { requests: 4, queue: 1000, queue_timeout: 20s }";
const BULKHEAD = "bulkhead: { concurrency: 6, queue: 1000, queue_timeout: 20s }";
const BREAKER = "circuit_breaker: { consecutive_failures: 1000000 }";

test.each([
  ["retries", RETRIES],
  ["hedge", HEDGE],
  ["limits, bulkhead, circuit_breaker", `${LIMITS}, ${BULKHEAD}, ${BREAKER}`],
  ["all of them", [RETRIES, HEDGE, LIMITS, BULKHEAD, BREAKER].join(", ")],
])("%s", async (name, policies) => {
  const row = table.begin(name);
  using a = startCheckingUpstream();
  using b = startCheckingUpstream();
  await using gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
log: { access: false }
upstreams:
  checking: { targets: ["http://127.0.0.1:${a.port}", "http://127.0.0.1:${b.port}"], ${policies} }
routes:
  - { name: all, match: { path: /* }, upstream: checking }
`);
  const report = await randomTraffic({
    port: gateway.port,
    requests: REQUESTS,
    connections: 16,
    seed: 4_004,
  });
  expect(report.wrong).toEqual([]);
  expect(a.counts.wrong + b.counts.wrong).toBe(0);
  gateway.signal("SIGTERM");
  // 4 would say that a request was still under way.
  expect(await gateway.exited).toBe(0);
  expect(a.counts.open + b.counts.open).toBe(0);
  const { good, brokenOff, left } = report;
  row.passed(...[REQUESTS, good, brokenOff, left, a.counts.requests + b.counts.requests].map(String));
});
