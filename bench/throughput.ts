/*
 * Requests a second and CPU time a request of a plain proxied GET (1 KiB), by numbers of connections: sluice with and
 * without its access log beside HAProxy, and other builds of sluice where some are named. The rounds are interleaved,
 * medians are printed, and a run with any answer but 2xx fails.
 *
 *   bun bench/throughput.ts [--connections=32,64,128,256,512,1000] [--rounds=5] [--seconds=3] [NAME=BINARY …]
 *
 * Needs dist/sluice, nginx, haproxy and wrk. All of them share this machine's cores.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startHaproxy, startNginx } from "../core/e2e/daemon.ts";
import { accepting, freePort } from "../core/e2e/free-port.ts";
import { ROOT } from "../core/e2e/paths.ts";
import { temporaryDir } from "../core/testing/temporary-dir.ts";
import { haproxyConfig, median, type Run, runWrk, startSluice } from "./measure.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    connections: { type: "string", default: "32,64,128,256,512,1000" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
  },
});
const counts = options.connections.split(",").map(Number);
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

using dir = temporaryDir();
await using stack = new AsyncDisposableStack();

const origin = freePort();
dir.write(
  "nginx.conf",
  `master_process off; daemon off; pid ${dir.path}/nginx.pid; error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000;
  server { listen 127.0.0.1:${origin} backlog=4096; location / { return 200 "${"x".repeat(1024)}"; } }
}
`,
);
stack.use(await startNginx(join(dir.path, "nginx.conf"), origin));

const front = freePort();
dir.write("haproxy.cfg", haproxyConfig(front, [`127.0.0.1:${origin}`]));
const haproxy = stack.use(await startHaproxy(join(dir.path, "haproxy.cfg"), front));
const contenders: Contender[] = [{ name: "haproxy", port: front, pid: haproxy.pid }];

async function addSluice(name: string, binary: string, log: boolean): Promise<void> {
  const port = freePort();
  const file = `${name.replaceAll(" ", "-")}.yaml`;
  dir.write(
    file,
    `version: 1
listeners: [{ address: "127.0.0.1:${port}" }]
log: { access: ${log} }
upstreams: { origin: { targets: ["http://127.0.0.1:${origin}"], pool: { max_connections: 2000 } } }
routes: [{ match: { path: /* }, upstream: origin }]
`,
  );
  const { pid } = stack.use(startSluice(binary, dir.path, file));
  await accepting(port);
  contenders.push({ name, port, pid });
}

const builds = positionals.map((one) => one.split("=", 2) as [string, string]);
for (const [name, binary] of [...builds, ["sluice", join(ROOT, "dist/sluice")] as const]) {
  await addSluice(name, binary, false);
  await addSluice(`${name}, access log`, binary, true);
}

function run({ port, pid }: Contender, connections: number, time: number): Promise<Run> {
  return runWrk({ url: `http://127.0.0.1:${port}/`, pid, connections, seconds: time });
}

for (const connections of counts) {
  for (const one of contenders) await run(one, connections, 1);
  const runs = new Map<Contender, Run[]>(contenders.map((one) => [one, []]));
  for (let round = 0; round < rounds; round++)
    for (const one of contenders) runs.get(one)!.push(await run(one, connections, seconds));
  const peer = median(runs.get(contenders[0]!)!.map((one) => one.perSecond));
  console.log(`\n${connections} connections${" ".repeat(20)}req/s  of HAProxy   min – max      µs CPU`);
  for (const [{ name }, all] of runs) {
    const speeds = all.map((one) => one.perSecond);
    const speed = median(speeds);
    const spread = `${Math.min(...speeds).toFixed(0)} – ${Math.max(...speeds).toFixed(0)}`;
    console.log(
      `  ${name.padEnd(28)} ${speed.toFixed(0).padStart(8)} ${(speed / peer).toFixed(2).padStart(10)}   ${spread.padEnd(15)} ${median(all.map((one) => one.cpu)).toFixed(1)}`,
    );
  }
}
