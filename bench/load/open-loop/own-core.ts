import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, setPriority } from "node:os";

const MOST = -20;

/**
 * Asks the kernel for a core that others do not push us off, as if the load came from another machine; on a busy one they
 * do for tens of milliseconds. Goes on without where that is not for us to ask, or there is only one.
 */
export function takeCore(): void {
  if (availableParallelism() < 2) return;
  try {
    setPriority(MOST);
    // Linux weighs sessions before processes (sched(7), autogroup). One that is shared with others is left alone.
    if (sessionOf(process.pid) === process.pid) writeFileSync("/proc/self/autogroup", String(MOST));
  } catch {
    // Not permitted, or not known here. What it would have prevented shows as lateness.
  }
}

function sessionOf(pid: number): number {
  // The name, in parentheses, may hold spaces. The sixth field is the session (proc(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
  return Number(fields[3]);
}
