import { writeSync } from "node:fs";
import type { AnyPlugin } from "sluice/plugin";
import { EXIT, type Terminal } from "./command.ts";

/** The terminal of this process, and how its end comes out. */
export interface ProcessTerminal extends Terminal {
  /** The code to end with: the command's, unless what it said could not be written. */
  exitCode(code: number): number;
}

type Write = (fd: number, bytes: Uint8Array) => number;

/** How long to wait where a descriptor that does not block is full, milliseconds. */
const FULL_PAUSE_MS = 2;

/**
 * Writes to descriptors 1 and 2 at once and whole: a process that ends does not wait for what `process.stdout`
 * still holds, and a pipe takes 64 KiB at a time.
 */
export function processTerminal(builtins: readonly AnyPlugin[], write: Write = writeSync): ProcessTerminal {
  let failure: NodeJS.ErrnoException | undefined;
  return {
    out(text) {
      failure ??= writeAll(1, `${text}\n`, write);
    },
    err: (text) => void writeAll(2, `${text}\n`, write),
    env: process.env,
    cwd: process.cwd(),
    builtins,
    exitCode(code) {
      // A reader that has seen enough, such as `head`, is no failure.
      if (failure === undefined || failure.code === "EPIPE") return code;
      writeAll(2, `sluice: the output could not be written: ${failure.message}\n`, write);
      return code === EXIT.ok ? EXIT.failed : code;
    },
  };
}

/** Answers why it could not. */
function writeAll(fd: number, text: string, write: Write): NodeJS.ErrnoException | undefined {
  let rest: Uint8Array = Buffer.from(text);
  while (rest.byteLength > 0) {
    try {
      rest = rest.subarray(write(fd, rest));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const failure: NodeJS.ErrnoException = error;
      if (failure.code !== "EAGAIN") return failure;
      // Whoever started us may have set the descriptor not to block: it is shared with them.
      Bun.sleepSync(FULL_PAUSE_MS);
    }
  }
  return undefined;
}
