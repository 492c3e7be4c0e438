import { runOpenLoop } from "../load/open-loop/run-open-loop.ts";
import type { Quantiles } from "../load/open-loop/quantiles.ts";
import { FILL } from "../origins/http-origin.ts";
import type { Case } from "../scenario.ts";
import { costsOf } from "./costs.ts";

/** Seconds of load before what is measured; a process that has just been asked otherwise is not warm for this. */
const WARM_UP = 0.5;

/** Milliseconds by which the generator may be late at its 99th percentile; a run that is worse is done again. */
const LATE = 0.25;
const TRIES = 3;

/** The first of some runs in which the generator kept its own time, or the last. */
export async function inTime<R extends { readonly done: { readonly lateness: Quantiles } }>(
  run: () => Promise<R>,
): Promise<R> {
  for (let left = TRIES - 1; ; left--) {
    const result = await run();
    if (result.done.lateness.p99 <= LATE || left === 0) return result;
  }
}

/** Latency of GETs that fall due at a fixed rate, whatever becomes of those before, and what they cost. */
export function atRate(rate: number, path: string, bytes: number, more: { readonly slow?: true } = {}): Case {
  return {
    name: `${rate.toLocaleString("en")} requests/s`,
    ...more,
    async measure(target, seconds) {
      // Twice as long as others: the thousandth part of these is a figure of its own.
      const { done, cpuSeconds } = await inTime(() =>
        costsOf(target, () =>
          runOpenLoop({
            port: target.port,
            path,
            rate,
            seconds: seconds * 2,
            warmUpSeconds: WARM_UP,
            expect: { length: bytes, fill: FILL },
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
          ...(target.processes !== undefined && { cpuShare: share * 100, cpu: (share * 1e6) / rate }),
        },
      };
    },
  };
}
