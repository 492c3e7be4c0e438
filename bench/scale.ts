/*
 * What size costs: start-up, memory and CPU time a request with 1,000 targets and 10,000 routes against one of each, and
 * with each balance algorithm, beside HAProxy with as many servers. The rounds are interleaved, medians are printed, and a
 * run with any answer but 2xx fails.
 *
 *   bun bench/scale.ts [--targets=1000] [--routes=10000] [--balance=round-robin,ewma] [--connections=64] [--rounds=5] [--seconds=3]
 *
 * Needs dist/sluice, nginx, haproxy and wrk. All of them share this machine's cores.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startHaproxy, startNginx } from "../core/e2e/daemon.ts";
import { freePort } from "../core/e2e/free-port.ts";
import { ROOT } from "../core/e2e/paths.ts";
import { temporaryDir } from "../core/testing/temporary-dir.ts";
import { haproxyConfig, median, residentMb, type Run, runWrk, startSluice } from "./measure.ts";

const { values: options } = parseArgs({
  options: {
    targets: { type: "string", default: "1000" },
    routes: { type: "string", default: "10000" },
    balance: { type: "string", default: "round-robin,least-request,ewma,consistent-hash,random" },
    connections: { type: "string", default: "64" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
  },
});
const manyTargets = Number(options.targets);
const manyRoutes = Number(options.routes);
const connections = Number(options.connections);
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);

using dir = temporaryDir();
await using stack = new AsyncDisposableStack();

const origin = freePort();
/** Each target has an address of its own; Linux has all of 127.0.0.0/8 on the loopback interface. */
const addresses = Array.from(
  { length: manyTargets },
  (_, i) => `127.0.${1 + Math.floor(i / 250)}.${1 + (i % 250)}:${origin}`,
);
const listens = ["127.0.0.1:" + String(origin), ...addresses]
  .map((one) => `listen ${one} backlog=4096;`)
  .join(" ");
dir.write(
  "nginx.conf",
  `master_process off; daemon off; pid ${dir.path}/nginx.pid; error_log stderr crit;
events { worker_connections 16384; }
http {
  access_log off; keepalive_requests 1000000000;
  server { ${listens} location / { return 200 "${"x".repeat(1024)}"; } }
}
`,
);
stack.use(await startNginx(join(dir.path, "nginx.conf"), origin));

interface Contender {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** Asks for the path of another route each time; undefined asks for that of the last. */
  readonly script?: string;
  readonly startedAfter: number;
  readonly resident: number;
}

// What nobody has asked for in a while is cold.
dir.write(
  "paths.lua",
  `local i = 0
request = function()
  i = (i + 7919) % ${manyRoutes}
  return wrk.format("GET", "/service-" .. i .. "/items/42")
end
`,
);

async function start(name: string, targets: number, routes: number, balance: string): Promise<Contender> {
  const port = freePort();
  const file = `${name.replaceAll(/[^a-z0-9]+/g, "-")}.yaml`;
  const urls = targets === 1 ? [`127.0.0.1:${origin}`] : addresses.slice(0, targets);
  const paths = routes === 1 ? ["/*"] : Array.from({ length: routes }, (_, i) => `/service-${i}/*`);
  dir.write(
    file,
    `version: 1
listeners: [{ address: "127.0.0.1:${port}" }]
log: { access: false }
upstreams:
  origin:
    balance: ${balance}
    targets: [${urls.map((one) => `"http://${one}"`).join(", ")}]
routes:
${paths.map((path) => `  - { match: { path: ${path} }, upstream: origin }`).join("\n")}
`,
  );
  const url = `http://127.0.0.1:${port}/service-${manyRoutes - 1}/items/42`;
  const begun = performance.now();
  const { pid } = stack.use(startSluice(join(ROOT, "dist/sluice"), dir.path, file));
  await firstAnswer(url);
  const startedAfter = performance.now() - begun;
  return { name, url, pid, startedAfter, resident: residentMb(pid) };
}

/** What as many servers cost HAProxy: connections that are touched seldom are cold for everybody. */
async function startPeer(servers: number): Promise<Contender> {
  const port = freePort();
  const file = `haproxy-${servers}.cfg`;
  const all = servers === 1 ? [`127.0.0.1:${origin}`] : addresses.slice(0, servers);
  dir.write(file, haproxyConfig(port, all));
  const begun = performance.now();
  const { pid } = stack.use(await startHaproxy(join(dir.path, file), port));
  const url = `http://127.0.0.1:${port}/`;
  await firstAnswer(url);
  const startedAfter = performance.now() - begun;
  return { name: `haproxy, ${servers} server(s)`, url, pid, startedAfter, resident: residentMb(pid) };
}

async function firstAnswer(url: string): Promise<void> {
  const until = performance.now() + 60_000;
  for (;;) {
    try {
      const answer = await fetch(url);
      if (answer.ok) return;
      throw new Error(`${url} answered ${answer.status}`);
    } catch (error) {
      if (performance.now() > until) throw error;
      await Bun.sleep(1);
    }
  }
}

const contenders: Contender[] = [];
const peers = [await startPeer(1), await startPeer(manyTargets)] as const;
contenders.push(await start("1 target, 1 route", 1, 1, "round-robin"));
contenders.push(await start(`1 target, ${manyRoutes} routes`, 1, manyRoutes, "round-robin"));
for (const balance of options.balance.split(",")) {
  contenders.push(await start(`2 targets, ${balance}`, 2, 1, balance));
  contenders.push(await start(`${manyTargets} targets, ${balance}`, manyTargets, 1, balance));
}
contenders.push(
  await start(`${manyTargets} targets, ${manyRoutes} routes`, manyTargets, manyRoutes, "round-robin"),
);
contenders.push(...peers);
// The same processes once more, with all paths in turn.
const inTurn = (one: Contender): Contender => ({
  ...one,
  name: `${one.name}, all paths`,
  script: join(dir.path, "paths.lua"),
});
const [single, routed] = contenders as [Contender, Contender];
contenders.push(inTurn(single), inTurn(routed));

const run = ({ url, pid, script }: Contender, time: number): Promise<Run> =>
  runWrk({ url, pid, connections, seconds: time, ...(script !== undefined && { script }) });

for (const one of contenders) await run(one, 1);
const runs = new Map<Contender, Run[]>(contenders.map((one) => [one, []]));
for (let round = 0; round < rounds; round++)
  for (const one of contenders) runs.get(one)!.push(await run(one, seconds));

const against = (one: Contender, of: (run: Run) => number): string => {
  const base = one.name.startsWith("haproxy")
    ? peers[0]
    : one.script === undefined
      ? single
      : contenders.at(-2)!;
  return (median(runs.get(one)!.map(of)) / median(runs.get(base)!.map(of))).toFixed(2).padStart(6);
};
console.log(
  `${connections} connections${" ".repeat(20)}  start ms  idle MB  after MB    req/s   µs CPU      ×  µs user      ×`,
);
for (const [one, all] of runs) {
  const cpu = median(all.map((each) => each.cpu));
  const user = median(all.map((each) => each.user));
  const speed = median(all.map((each) => each.perSecond));
  console.log(
    `${one.name.padEnd(34)} ${one.startedAfter.toFixed(0).padStart(8)} ${one.resident.toFixed(0).padStart(8)} ${residentMb(one.pid).toFixed(0).padStart(9)} ${speed.toFixed(0).padStart(8)} ${cpu.toFixed(1).padStart(8)} ${against(one, (each) => each.cpu)} ${user.toFixed(1).padStart(8)} ${against(one, (each) => each.user)}`,
  );
}
