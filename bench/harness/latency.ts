import { runOpenLoop } from "../load/open-loop/run-open-loop.ts";
import type { Quantiles } from "../load/open-loop/quantiles.ts";
import { runWrk } from "../load/wrk.ts";
import { FILL, KB_1 } from "../origins/http-origin.ts";
import type { Case, Target } from "../scenario.ts";
import { costsOf } from "./costs.ts";

/** Seconds of load before what is measured; a process that has just been asked otherwise is not warm for this. */
const WARM_UP = 0.5;

/** Milliseconds by which the generator may be late at its 99th percentile; a run that is worse is done once more. */
const LATE = 0.25;
const TRIES = 2;

/** The first of some runs in which the generator kept its own time, or the last. */
export async function inTime<R extends { readonly done: { readonly lateness: Quantiles } }>(
  run: () => Promise<R>,
): Promise<R> {
  for (let left = TRIES - 1; ; left--) {
    const result = await run();
    if (result.done.lateness.p99 <= LATE || left === 0) return result;
  }
}

const PATH = "/1k";

/** Brings a process to where it is after minutes of work, as some seconds at a low rate would not. */
export function warmUp({ port }: Target, seconds: number): Promise<unknown> {
  return runWrk({ port, path: PATH, connections: 16, seconds, expectBytesEach: KB_1 });
}

/** Latency of GETs that fall due at a fixed rate, whatever becomes of those before, and what they cost. */
function atRate(rate: number, more: { readonly slow?: true } = {}): Case {
  return {
    name: `${rate.toLocaleString("en")} requests/s`,
    ...more,
    async measure(target, seconds) {
      // Twice as long as others: the thousandth part of these is a figure of its own.
      const { done, cpuSeconds } = await inTime(() =>
        costsOf(target, () =>
          runOpenLoop({
            port: target.port,
            path: PATH,
            rate,
            seconds: seconds * 2,
            warmUpSeconds: WARM_UP,
            expect: { length: KB_1, fill: FILL },
          }),
        ),
      );
      const { p50, p90, p99, "p99.9": p999 } = done.latency;
      const share = cpuSeconds / (seconds * 2 + WARM_UP);
      return {
        command: done.command,
        sample: {
          p50,
          p90,
          p99,
          "p99.9": p999,
          late: done.lateness.p99,
          ...(target.processes !== undefined && { cpuShare: share * 100, cpu: (share * 1e6) / rate }),
        },
      };
    },
  };
}

export const AT_RATES: readonly Case[] = [
  atRate(1_000),
  atRate(500, { slow: true }),
  atRate(2_000, { slow: true }),
];
