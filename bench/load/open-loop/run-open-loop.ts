import { join } from "node:path";
import { ROOT } from "../../../core/e2e/paths.ts";
import { runProgram } from "../run-program.ts";
import type { Quantiles } from "./quantiles.ts";
import type { OpenLoopReport } from "./report.ts";

interface Common {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly path: string;
  /** Requests a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Before them; 1 unless said otherwise. */
  readonly warmUpSeconds?: number;
  readonly headers?: { readonly [name: string]: string };
  /** Of a Poisson process, in place of arrivals of one spacing. */
  readonly seed?: number;
  readonly maxConnections?: number;
  /** Seconds that answers may take after the last request; 10 unless said otherwise. */
  readonly patienceSeconds?: number;
}

export interface OpenLoopOptions extends Common {
  /** A file; makes it a POST. */
  readonly body?: string;
  readonly status?: number;
  /** The body of each answer: a file, or one character so many times. */
  readonly expect: { readonly file: string } | { readonly length: number; readonly fill: string };
}

export interface OpenLoopSseOptions extends Common {
  /** Of each stream. */
  readonly events: number;
}

/** Times are milliseconds. */
export interface OpenLoopResult {
  /** Requests that were measured. */
  readonly count: number;
  readonly connections: number;
  /** From when a request fell due to the last byte of its answer. */
  readonly latency: Quantiles;
  /** Of the generator itself: where it is not small beside `latency`, the run says nothing. */
  readonly lateness: Quantiles;
  readonly command: string;
}

export interface OpenLoopSseResult extends OpenLoopResult {
  /** From when a stream fell due to the last byte of its first event. */
  readonly firstEvent: Quantiles;
  /** From when the origin wrote an event to its last byte. */
  readonly eventDelay: Quantiles;
}

/**
 * Sends requests at a fixed rate, in a process of its own that takes a whole core. Throws where an answer was wrong, a
 * connection was lost, or a request was not answered.
 */
export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { body, status, expect } = options;
  const { report, command } = await generate(options, [
    ...(body === undefined ? [] : ["--method=POST", `--body-file=${body}`]),
    ...(status === undefined ? [] : [`--status=${status}`]),
    ...("file" in expect
      ? [`--expect-file=${expect.file}`]
      : [`--expect-length=${expect.length}`, `--expect-fill=${expect.fill}`]),
  ]);
  const { count, connections, latency, lateness } = report;
  if (latency === undefined || lateness === undefined) throw new Error(`${command}: nothing was measured`);
  return { count, connections, latency, lateness, command };
}

/** The same for streams of the SSE origin, each of which must have all its events, in order. */
export async function runOpenLoopSse(options: OpenLoopSseOptions): Promise<OpenLoopSseResult> {
  const { report, command } = await generate(options, [
    "--sse",
    `--events=${options.events}`,
    "--header=accept: text/event-stream",
  ]);
  const { count, connections, latency, lateness, firstEvent, eventDelay } = report;
  if (!(latency && lateness && firstEvent && eventDelay)) throw new Error(`${command}: nothing was measured`);
  return { count, connections, latency, lateness, firstEvent, eventDelay, command };
}

async function generate(
  options: Common,
  more: readonly string[],
): Promise<{ readonly report: OpenLoopReport; readonly command: string }> {
  const {
    port,
    path,
    rate,
    seconds,
    warmUpSeconds,
    headers = {},
    seed,
    maxConnections,
    patienceSeconds,
  } = options;
  const argv = [
    process.execPath,
    join(ROOT, "bench/load/open-loop/main.ts"),
    `--url=http://127.0.0.1:${port}${path}`,
    `--rate=${rate}`,
    `--seconds=${seconds}`,
    ...(warmUpSeconds === undefined ? [] : [`--warm-up=${warmUpSeconds}`]),
    ...(seed === undefined ? [] : ["--arrivals=poisson", `--seed=${seed}`]),
    ...(maxConnections === undefined ? [] : [`--max-connections=${maxConnections}`]),
    ...(patienceSeconds === undefined ? [] : [`--patience=${patienceSeconds}`]),
    ...Object.entries(headers).map(([name, value]) => `--header=${name}: ${value}`),
    ...more,
  ];
  // Apart, so that it may ask for a core (own-core.ts).
  const { stdout, stderr, command } = await runProgram(argv, {
    seconds: seconds + (warmUpSeconds ?? 1),
    apart: true,
  });
  if (stdout === "") throw new Error(`${command}: ${stderr}`);
  const report = JSON.parse(stdout) as OpenLoopReport;
  if (report.errors > 0)
    throw new Error(`${command}: ${report.errors} errors, the first: ${report.firstError ?? ""}`);
  return { report, command };
}
