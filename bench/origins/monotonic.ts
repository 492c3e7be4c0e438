import { dlopen } from "bun:ffi";

const CLOCK_MONOTONIC = 1;

/** Milliseconds of CLOCK_MONOTONIC: the same in all processes of a machine, as `performance.now()` is not. */
export function monotonic(): number {
  return FROM_START + performance.now();
}

// performance.now() runs by that clock, from the start of the process.
const FROM_START = fromStart();

function fromStart(): number {
  const { symbols } = dlopen("libc.so.6", { clock_gettime: { args: ["i32", "ptr"], returns: "i32" } });
  const time = new BigInt64Array(2);
  const measure = (): number => {
    symbols.clock_gettime(CLOCK_MONOTONIC, time);
    return Number(time[0]) * 1e3 + Number(time[1]) / 1e6 - performance.now();
  };
  // The first call is slow, and any may be interrupted.
  return Math.max(measure(), measure(), measure());
}
