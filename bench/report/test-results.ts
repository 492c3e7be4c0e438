/** Results for tests: as a run gives them, from rates and times that chance moves as a machine would. */
import type { Sample } from "../metric.ts";
import type { CaseResult, ContenderResult, Results, ScenarioResult } from "./results.ts";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How a machine makes figures differ; each a share, up or down. */
export interface Noise {
  readonly seed: number;
  /** All figures of a run, together. */
  readonly drift?: number;
  /** All figures of a round, together. */
  readonly round?: number;
  /** Each figure by itself. */
  readonly own?: number;
}

/** What is true of a contender where nothing disturbs it: microseconds of CPU and milliseconds of latency. */
export interface Truth {
  readonly cpu: number;
  readonly p50: number;
  readonly p99: number;
  readonly start: number;
  readonly idle: number;
}

export const TRUTHS: { readonly [contender: string]: Truth } = {
  direct: { cpu: 0, p50: 0.11, p99: 0.31, start: 0, idle: 0 },
  sluice: { cpu: 24.1, p50: 0.29, p99: 0.84, start: 61, idle: 47.2 },
  caddy: { cpu: 71.3, p50: 0.42, p99: 2.1, start: 48, idle: 31.4 },
  haproxy: { cpu: 10.4, p50: 0.2, p99: 0.49, start: 22, idle: 9.8 },
  nginx: { cpu: 12.9, p50: 0.21, p99: 0.52, start: 9, idle: 4.1 },
};

const SCENARIOS: readonly (readonly [title: string, cost: number])[] = [
  ["GET 1 KB", 1],
  ["GET 100 KB", 3.1],
  ["POST 2 KB of JSON", 1.2],
  ["GET 1 KB through a pipeline", 1.6],
];

/** A run of five rounds (or so many) in which `truths` hold. */
export function runOf(
  noise: Noise,
  truths: { readonly [contender: string]: Truth } = TRUTHS,
  rounds = 5,
): Results {
  const random = seeded(noise.seed);
  const by = (share = 0): number => 1 + (random() * 2 - 1) * share;
  const drift = by(noise.drift);
  const cases = (
    names: readonly string[],
    contenders: readonly string[],
    sample: (truth: Truth, vary: (figure: number) => number, name: string) => Sample,
  ): CaseResult[] =>
    names.map((name) => {
      const runs = contenders.map((contender): [string, { command: string; samples: Sample[] }] => [
        contender,
        { command: `wrk -t1 -c64 -d3s http://127.0.0.1:40${contender.length}00/${name.length}`, samples: [] },
      ]);
      for (let round = 0; round < rounds; round++) {
        const shared = drift * by(noise.round);
        for (const [contender, { samples }] of runs)
          samples.push(sample(truths[contender]!, (value) => value * shared * by(noise.own), name));
      }
      return { name, runs: Object.fromEntries(runs) };
    });
  const all = Object.keys(truths);
  const proxies = all.filter((name) => name !== "direct");
  return {
    format: 1,
    startedAt: "2030-05-04T10:20:30.000Z",
    tookSeconds: 1534,
    command: "bench/run",
    commit: "0255feab1c2d",
    rounds,
    secondsEach: 3,
    warmUpSeconds: 6,
    machine: {
      cpu: "EPYC 7B13",
      cores: 2,
      memoryGiB: 8,
      kernel: "6.1.0-18-amd64",
      system: "Debian GNU/Linux 12 (bookworm)",
    },
    versions: { sluice: "0.1.0", caddy: "2.6.2", haproxy: "2.6.12", nginx: "1.22.1", wrk: "4.1.0" },
    scenarios: [
      ...SCENARIOS.map(([title, cost], i) =>
        scenario(
          title,
          all,
          cases(
            i === 0 ? ["64 connections", "1 connection", "1,000 connections"] : ["64 connections"],
            all,
            ({ cpu }, vary, name) => {
              const wait = name.startsWith("1 ") ? 4 : 1;
              return {
                throughput: 1e6 / vary((cpu * 1.2 + 12) * cost * wait),
                ...(cpu > 0 && { cpu: vary(cpu * cost) }),
              };
            },
          ),
        ),
      ),
      scenario(
        "Latency of GET 1 KB",
        all,
        cases(["500 requests/s", "1,000 requests/s", "2,000 requests/s"], all, ({ p50, p99 }, vary) => ({
          p50: vary(p50),
          p90: vary(p50 + (p99 - p50) * 0.4),
          p99: vary(p99),
          "p99.9": vary(p99 * 2.4),
        })),
      ),
      scenario(
        "Start and rest",
        proxies,
        cases(["started anew"], proxies, ({ start, idle }, vary) => ({
          start: vary(start),
          idle,
        })),
      ),
    ],
  };
}

function scenario(
  title: string,
  contenders: readonly string[],
  cases: readonly CaseResult[],
): ScenarioResult {
  return {
    name: title.toLowerCase().replaceAll(" ", "-"),
    title,
    about: `${title}, asked for by keep-alive connections.`,
    origin: { command: ["nginx", "-c", "nginx.conf"], files: { "nginx.conf": "events {}\nhttp {}\n" } },
    contenders: contenders.map((name): ContenderResult =>
      name === "direct"
        ? { name, command: [], files: {} }
        : {
            name,
            command: [name, "-f", `${name}.conf`],
            files: { [`${name}.conf`]: `# ${name}\nlisten 1\n` },
          },
    ),
    cases,
    aims: [],
  };
}
