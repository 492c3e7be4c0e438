import { runOpenLoop } from "../load/open-loop/run-open-loop.ts";
import type { Case } from "../scenario.ts";
import { costsOf } from "./costs.ts";

/** Seconds of load before what is measured; a process that has just been asked otherwise is not warm for this. */
const WARM_UP = 0.5;

/** Latency of GETs that fall due at a fixed rate, whatever becomes of those before, and what they cost. */
export function atRate(rate: number, path: string, bytes: number, more: { readonly slow?: true } = {}): Case {
  return {
    name: `${rate.toLocaleString("en")} requests/s`,
    ...more,
    async measure(target, seconds) {
      // Twice as long as others: the thousandth part of these is a figure of its own.
      const { done, cpuSeconds } = await costsOf(target, () =>
        runOpenLoop({
          port: target.port,
          path,
          rate,
          seconds: seconds * 2,
          warmUpSeconds: WARM_UP,
          expect: { length: bytes, fill: "x" },
        }),
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
