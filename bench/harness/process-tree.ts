import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks a second in /proc; Linux has had this one on every platform since 2.6. */
const TICKS = 100;

/** A process and all that it started, as the kernel accounts for them. Linux only. */
export class ProcessTree {
  readonly pid: number;

  constructor(pid: number) {
    this.pid = pid;
  }

  /** The process and its descendants that live now, parents first. */
  pids(): readonly number[] {
    const all = [this.pid];
    for (const pid of all) all.push(...childrenOf(pid));
    return all;
  }

  /** CPU seconds so far, user and system, of all threads, and of children that have ended. To 10 ms. */
  cpuSeconds(): number {
    let ticks = 0;
    for (const pid of this.pids()) {
      // The name, in parentheses, may hold spaces. After it: 14 utime, 15 stime, 16 cutime, 17 cstime (proc(5)).
      const fields = read(`/proc/${pid}/stat`)?.split(") ").at(-1)?.split(" ");
      if (fields !== undefined) for (const at of [11, 12, 13, 14]) ticks += Number(fields[at]);
    }
    return ticks / TICKS;
  }

  /** Resident memory, MB of 2^20 bytes. What several of them share counts once. */
  residentMb(): number {
    const pids = this.pids();
    // Proportional shares of one process would leave out what it shares with strangers: the C library.
    const [file, field] =
      pids.length > 1 ? ["smaps_rollup", /^Pss:\s+(\d+) kB/m] : ["status", /^VmRSS:\s+(\d+) kB/m];
    let kilobytes = 0;
    for (const pid of pids) kilobytes += Number(field.exec(read(`/proc/${pid}/${file}`) ?? "")?.[1] ?? 0);
    return kilobytes / 1024;
  }
}

function childrenOf(pid: number): readonly number[] {
  const children: number[] = [];
  for (const thread of list(`/proc/${pid}/task`)) {
    const line = read(`/proc/${pid}/task/${thread}/children`) ?? "";
    for (const child of line.split(" ")) if (child !== "") children.push(Number(child));
  }
  return children;
}

// A process may end while it is looked at.
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
