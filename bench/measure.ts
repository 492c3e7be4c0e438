import { readFileSync } from "node:fs";

/** One run of a load generator against one process. */
export interface Run {
  readonly perSecond: number;
  /** Microseconds of CPU time, user and system, a request. */
  readonly cpu: number;
  /** Those of them that the process itself spent, and not the kernel for it. */
  readonly user: number;
}

/** CPU seconds of a process, all threads. */
export function cpuSeconds(pid: number): { readonly user: number; readonly system: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return { user: Number(fields[11]) / 100, system: Number(fields[12]) / 100 };
}

/** Resident memory of a process, MB. */
export function residentMb(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? Number.NaN) / 1024;
}

export interface Load {
  readonly url: string;
  /** Whose CPU time is measured. */
  readonly pid: number;
  readonly connections: number;
  readonly seconds: number;
  /** Of a script for wrk, in Lua. */
  readonly script?: string;
}

/** Runs wrk. Throws where any answer was not 2xx. */
export async function runWrk({ url, pid, connections, seconds, script }: Load): Promise<Run> {
  const before = cpuSeconds(pid);
  const scripted = script === undefined ? [] : ["-s", script];
  const wrk = Bun.spawn(["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, ...scripted, url], {
    stdout: "pipe",
  });
  const said = await new Response(wrk.stdout).text();
  const after = cpuSeconds(pid);
  const user = after.user - before.user;
  const cpu = user + after.system - before.system;
  const requests = Number(/(\d+) requests in/.exec(said)?.[1] ?? 0);
  const wrong = /Non-2xx.*|Socket errors.*/.exec(said)?.[0];
  if (requests === 0 || wrong !== undefined)
    throw new Error(`${url} with ${connections} connections: ${wrong ?? said}`);
  return { perSecond: requests / seconds, cpu: (cpu * 1e6) / requests, user: (user * 1e6) / requests };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** A configuration of HAProxy with one thread and connections kept to its servers, `host:port` each. */
export function haproxyConfig(port: number, servers: readonly string[]): string {
  return `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
  http-reuse always
  option forwardfor
frontend front
  bind 127.0.0.1:${port}
  default_backend origin
backend origin
  balance roundrobin
${servers.map((server, i) => `  server s${i} ${server}`).join("\n")}
`;
}

/** Starts `sluice run` on a configuration; nobody reads what it logs. */
export function startSluice(
  binary: string,
  cwd: string,
  file: string,
): AsyncDisposable & { readonly pid: number } {
  const child = Bun.spawn([binary, "run", "-c", file], { cwd, stdout: "ignore", stderr: "inherit" });
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}
