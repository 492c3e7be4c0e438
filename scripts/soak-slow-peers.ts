/*
 * Sends a large answer to a slow reader, and a large upload to a slow upstream, through a running gateway, over each
 * pair of protocols. Prints how much the gateway's memory grew meanwhile: it holds what is on its way, and no more.
 *
 *   bun scripts/soak-slow-peers.ts [MIB=1024] [MIB_PER_SECOND=170] [ONLY, such as "http1 http2 POST"]
 *
 * Exit code 1 when other bytes arrived or memory grew by 32 MiB or more. Needs dist/sluice and Node.
 */
import { readFileSync } from "node:fs";
import { startBinary } from "../core/e2e/binary.ts";
import { startNode } from "../core/e2e/node-process.ts";

const MIB = 1_048_576;
const bytes = Number(process.argv[2] ?? 1_024) * MIB;
const rate = Number(process.argv[3] ?? 170) * MIB;
const only = process.argv[4] ?? "";
const ALLOWED = 32;
/** Requests before the measurement: what the runtime takes for its first ones is not what is asked for. */
const WARM = 3_000;

await using upstream = await startNode("slow-peer.ts", "serve", String(bytes), String(rate));
await using sum = await startNode("slow-peer.ts", "sum", String(bytes), "0");
const digest = await sum.next();
const ports = (await upstream.next()) as { http1: number; http2: number };
const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1_024;

async function measure(
  client: string,
  server: "http1" | "http2",
  method: string,
  sized: string,
): Promise<boolean> {
  await using gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0", limits: { body: 4GiB } }]
upstreams:
  slow: { protocol: ${server}, targets: ["http://127.0.0.1:${ports[server]}"], timeouts: { first_byte: 600s } }
routes:
  - { match: { path: /warm }, respond: { status: 200, body: ok } }
  - { match: { path: /* }, upstream: slow }
`);
  for (let i = 0; i < WARM; i++) await (await fetch(`http://127.0.0.1:${gateway.port}/warm`)).bytes();
  const before = rssOf(gateway.pid);
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, rssOf(gateway.pid))), 50);
  const begun = performance.now();
  const args = ["load", String(bytes), String(rate), String(gateway.port), client, method, sized];
  await using load = await startNode("slow-peer.ts", ...args);
  const arrived = await load.next();
  clearInterval(watch);
  const grown = most - before;
  const good = arrived === digest && grown < ALLOWED;
  const name = `${client} → ${server}`.padEnd(15);
  const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
  console.log(
    `${name} ${method.padEnd(4)} ${sized.padEnd(7)} rss ${before.toFixed(0)} → ${most.toFixed(0)} MiB, grown ${grown.toFixed(1)}, ${seconds} s${good ? "" : `  FAILED: ${arrived === digest ? "too much" : "other bytes arrived"}`}`,
  );
  return good;
}

let failed = 0;
for (const client of ["http1", "http2"]) {
  for (const server of ["http1", "http2"] as const) {
    for (const method of ["GET", "POST"]) {
      for (const sized of ["sized", "chunked"]) {
        if (!`${client} ${server} ${method} ${sized}`.includes(only)) continue;
        if (!(await measure(client, server, method, sized))) failed++;
      }
    }
  }
}
process.exitCode = failed === 0 ? 0 : 1;
