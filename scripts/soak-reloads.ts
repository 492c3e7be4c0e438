/*
 * Reloads a running gateway many times under load, alternating two configurations, one of which has an external
 * plugin whose source changes each time; then stops it under load with a stream open. Prints the memory series.
 *
 *   bun scripts/soak-reloads.ts [RELOADS=10000]
 *
 * Exit code 1 when a request failed. Needs dist/sluice and wrk.
 */
import { join } from "node:path";
import { startBinary } from "../core/e2e/binary.ts";
import { startHttpUpstream } from "../core/e2e/http-upstream.ts";

const RELOADS = Number(process.argv[2] ?? 10_000);
const TOKEN = "soak-token";
const STREAM_MS = 5_000;
const CONNECTIONS = 16;

const upstream = startHttpUpstream("soak", (request) => {
  if (!request.url.endsWith("/stream")) return new Response("hello");
  return new Response(
    new ReadableStream<Uint8Array>({
      async start(controller) {
        for (let i = 0; i < 10; i++) {
          controller.enqueue(new TextEncoder().encode(`event ${i}\n`));
          await Bun.sleep(STREAM_MS / 10);
        }
        controller.close();
      },
    }),
  );
});

const head = `version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0", token: ${TOKEN} }
log: { access: false }
upstreams:
  http: { targets: ["http://127.0.0.1:${upstream.port}"] }
`;
const plain = `${head}routes:
  - { match: { path: /* }, pipeline: [request-id], upstream: http }
`;
const withPlugin = `${head}plugins: { stamp: ./stamp.ts }
routes:
  - { match: { path: /other }, respond: { status: 204 } }
  - { match: { path: /* }, pipeline: [request-id, stamp], upstream: http }
`;
const plugin = (turn: number): string => `import { definePlugin } from "sluice/plugin";
import { z } from "zod";
export default definePlugin({
  apiVersion: 1,
  name: "stamp",
  description: "Stamps each answer with the turn of its source.",
  schema: z.strictObject({}),
  setup: () => ({
    async handle(c, next) {
      await next();
      c.header("x-turn", "${turn}");
    },
  }),
});
`;

const gateway = await startBinary(plain, { "stamp.ts": plugin(0) });
const rss = async (): Promise<number> => {
  const status = await Bun.file(join("/proc", String(gateway.pid), "status")).text();
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
};

// wrk outlasts the reloads; what it has to say is read once they are done.
const wrk = Bun.spawn(["wrk", "-t1", `-c${CONNECTIONS}`, "-d", "3600s", `http://${gateway.listener()}/`], {
  stdout: "pipe",
});
const series: { reload: number; rss: number }[] = [];
let failedReloads = 0;
const startedAt = performance.now();
for (let turn = 1; turn <= RELOADS; turn++) {
  if (turn % 2 === 1) gateway.write("stamp.ts", plugin(turn));
  gateway.write("sluice.yaml", turn % 2 === 1 ? withPlugin : plain);
  const answer = await fetch(`${gateway.admin}/config/reload`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  if (!answer.ok) {
    failedReloads++;
    console.log(`reload ${turn}: ${answer.status} ${await answer.text()}`);
  } else await answer.body?.cancel();
  if (turn % 2 === 1 && turn % 101 === 0) {
    const got = (await fetch(`http://${gateway.listener()}/`)).headers.get("x-turn");
    if (got !== String(turn)) {
      failedReloads++;
      console.log(`reload ${turn}: the plugin in use is of turn ${got}`);
    }
  }
  if (turn % Math.max(1, Math.floor(RELOADS / 20)) === 0) {
    series.push({ reload: turn, rss: await rss() });
    console.log(`reload ${String(turn).padStart(6)}  rss ${await rss()} MB`);
  }
}
const seconds = (performance.now() - startedAt) / 1000;
wrk.kill("SIGINT");
const load = await new Response(wrk.stdout).text();
await wrk.exited;

const summary = await (
  await fetch(`${gateway.admin}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })
).text();
const statuses: Record<string, number> = {};
for (const match of summary.matchAll(/^sluice_requests_total\{[^}]*status="(\d+)"\} (\d+)$/gm))
  statuses[match[1]!] = (statuses[match[1]!] ?? 0) + Number(match[2]);

console.log(`\n${RELOADS} reloads in ${seconds.toFixed(1)} s, ${failedReloads} failed`);
console.log(`requests by status: ${JSON.stringify(statuses)}`);
console.log(load.trim());
// 499 is what wrk leaves under way on its connections when it is stopped.
const { 200: _, 499: left = 0, ...others } = statuses;
const bad = /Socket errors|Non-2xx/.test(load) || left > CONNECTIONS || Object.keys(others).length > 0;

// SIGTERM under load with a stream open: keep-alive clients are told to leave, the stream ends well.
const stream = await fetch(`http://${gateway.listener()}/stream`);
const text = stream.text();
let served = 0;
let broken = 0;
const outcomes = { refused: 0 };
let stopping = false;
const clients = Array.from({ length: 8 }, async () => {
  for (;;) {
    try {
      const answer = await fetch(`http://${gateway.listener()}/`);
      if (answer.status === 200 && (await answer.text()) === "hello") served++;
      else broken++;
    } catch (error) {
      // After SIGTERM nobody listens any more: that is what a load balancer's health check tells it beforehand.
      if (stopping && error instanceof Error && "code" in error && error.code === "ECONNREFUSED") {
        outcomes.refused++;
        return;
      }
      broken++;
      console.log(error);
      if (stopping) return;
    }
  }
});
await Bun.sleep(500);
stopping = true;
gateway.signal("SIGTERM");
const events = (await text).trim().split("\n").length;
await Promise.all(clients);
const code = await gateway.exited;
console.log(
  `\nSIGTERM under load: ${served} served, ${broken} broken, ${outcomes.refused} clients refused afterwards, stream of ${events} events, exit ${code}`,
);
await gateway[Symbol.asyncDispose]();
await upstream[Symbol.asyncDispose]();
process.exit(bad || failedReloads > 0 || broken > 0 || events !== 10 || code !== 0 ? 1 : 0);
