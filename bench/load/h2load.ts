import { runProgram } from "./run-program.ts";
import type { Throughput } from "./wrk.ts";

export interface H2loadOptions {
  /** On 127.0.0.1, HTTP/2 with prior knowledge. */
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  /** Requests at a time on each. */
  readonly streams: number;
  readonly seconds: number;
  /** A file; makes it a POST. */
  readonly body?: string;
  readonly headers?: { readonly [name: string]: string };
  /** What DATA frames carry in a right answer. */
  readonly expectBytesEach?: number;
}

export interface H2Throughput extends Throughput {
  /** In DATA frames, those of answers that were not complete at the end included. */
  readonly dataBytes: number;
}

/** What a gRPC client sends with each call. */
export const GRPC_HEADERS = { "content-type": "application/grpc", te: "trailers" } as const;

/**
 * Runs h2load with one thread. Throws with what it said where a request failed, an answer was not 2xx, or nothing was
 * answered; and where the answers do not hold `expectBytesEach`: a gRPC call that fails is answered with 200 and, in
 * most cases, no data. h2load counts answers when they end and bytes when they come, so there may be more bytes by as
 * many answers as were under way at the end, never fewer.
 */
export async function runH2load(options: H2loadOptions): Promise<H2Throughput> {
  const { port, path, connections, streams, seconds, body, headers = {}, expectBytesEach } = options;
  const argv = [
    "h2load",
    "-t1",
    `-c${connections}`,
    `-m${streams}`,
    `-D${seconds}`,
    ...(body === undefined ? [] : ["-d", body]),
    ...Object.entries(headers).map(([name, value]) => `-H${name}: ${value}`),
    `http://127.0.0.1:${port}${path}`,
  ];
  const { stdout, stderr, exitCode, command } = await runProgram(argv, { seconds });
  const fail = (why: string): never => {
    throw new Error(`${command}: ${why}\n${stdout}${stderr}`);
  };
  const counts = /^requests: .*$/m.exec(stdout)?.[0] ?? "";
  const count = (of: string): number =>
    Number(new RegExp(String.raw`(\d+) ${of}\b`).exec(counts)?.[1] ?? Number.NaN);
  const requests = count("succeeded");
  const right = Number(/^status codes: (\d+) 2xx/m.exec(stdout)?.[1] ?? Number.NaN);
  const perSecond = Number(/^finished in .*?, ([\d.]+) req\/s/m.exec(stdout)?.[1] ?? Number.NaN);
  const dataBytes = Number(/^traffic: .*\((\d+)\) data$/m.exec(stdout)?.[1] ?? Number.NaN);
  if (exitCode !== 0 || !(requests > 0 && perSecond > 0)) fail("nothing was answered");
  if (count("failed") + count("errored") + count("timeout") !== 0) fail("requests failed");
  if (right < requests) fail("not every answer was 2xx");
  if (expectBytesEach !== undefined) {
    const beyond = dataBytes - requests * expectBytesEach;
    if (!(beyond >= 0 && beyond <= connections * streams * expectBytesEach)) {
      fail(`${dataBytes} bytes in ${requests} answers of ${expectBytesEach}`);
    }
  }
  return { requests, seconds: requests / perSecond, dataBytes, command };
}
