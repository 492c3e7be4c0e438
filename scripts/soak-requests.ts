/*
 * Sends random requests through a running gateway to an upstream that checks them, and checks what comes back:
 * methods, sizes, chunkings, pipelining, splits of the bytes, clients that leave and answers that break off.
 *
 *   bun scripts/soak-requests.ts [REQUESTS=1000000] [SEED]
 *
 * Exit code 1 when a byte was wrong or something was left over. Needs dist/sluice.
 */
import { join } from "node:path";
import { startBinary } from "../core/e2e/binary.ts";
import { startCheckingUpstream } from "../core/e2e/checking-upstream.ts";
import { randomTraffic } from "../core/e2e/random-traffic.ts";

const requests = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000_000);

using upstream = startCheckingUpstream();
await using gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
log: { access: false }
upstreams:
  checking: { targets: ["http://127.0.0.1:${upstream.port}"] }
routes:
  - { match: { path: /* }, upstream: checking }
`);
const rss = async (): Promise<number> => {
  const status = await Bun.file(join("/proc", String(gateway.pid), "status")).text();
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
};

console.log(`${requests} requests, seed ${seed}`);
const before = await rss();
const begun = performance.now();
const report = await randomTraffic({
  port: gateway.port,
  requests,
  connections: 32,
  seed,
  progress(over) {
    if (Math.floor(over / 1_000) % Math.max(1, Math.floor(requests / 20_000)) !== 0) return;
    void rss().then((now) => console.log(`${String(over).padStart(8)} requests  rss ${now} MB`));
  },
});
const seconds = (performance.now() - begun) / 1000;

// Everybody has left: what is still open after a moment would stay.
const metric = async (name: string): Promise<number> => {
  const text = await (await fetch(`${gateway.admin}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN);
};
let active = Number.NaN;
let connections = Number.NaN;
for (let i = 0; i < 50 && active + connections !== 0; i++) {
  await Bun.sleep(100);
  active = await metric("sluice_active_requests");
  connections = await metric("sluice_connections");
}
const { counts } = upstream;
console.log(`\n${seconds.toFixed(1)} s, ${Math.round(requests / seconds)} requests a second`);
console.log(
  `clients: ${report.good} right, ${report.brokenOff} broken off by the upstream, ${report.left} left, ${report.wrong.length} wrong`,
);
console.log(`upstream: ${counts.requests} requests, ${counts.wrong} wrong, ${counts.brokenOff} broken off`);
console.log(
  `afterwards: ${active} requests active, ${connections} connections; rss ${before} → ${await rss()} MB`,
);
for (const line of report.wrong) console.log(`WRONG ${line}`);
process.exitCode = report.wrong.length + counts.wrong + active + connections === 0 ? 0 : 1;
