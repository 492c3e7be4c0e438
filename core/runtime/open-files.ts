import { readFileSync } from "node:fs";

/** Files that the process has open beside connections: listeners, the log, the runtime's own. */
const RESERVED = 32;

/** The process's limit of open files; undefined where the system does not say (only Linux does). */
export function openFileLimit(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/**
 * Client connections that a limit of open files leaves room for: each may need one to an upstream. Beyond it the
 * kernel would refuse `accept`, and the listener would be woken again and again for connections that it cannot take.
 */
export function connectionsWithin(openFiles: number): number {
  return Math.max(8, Math.floor((openFiles - RESERVED) / 2));
}
