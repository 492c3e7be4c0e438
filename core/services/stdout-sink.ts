import pino from "pino";
import type { Clock } from "sluice/plugin";
import type { LogSink } from "./log.ts";

// Below SonicBoom's own bound for one write (16 KiB).
const BATCH_BYTES = 8_192;
const FLUSH_EVERY_MS = 100;
const HELD_BYTES = 16 << 20;

/** A sink that also counts what a reader who stopped reading made it drop. */
export interface CountingSink extends LogSink {
  readonly dropped: number;
}

/**
 * A file descriptor, written in batches by another thread's turn so that a slow reader never stops a request.
 * At most 16 MiB are held for a reader that does not read; later lines are dropped and counted.
 */
export function createFdSink(fd: number, clock: Clock): CountingSink {
  const out = pino.destination({ fd, sync: false, minLength: BATCH_BYTES, maxLength: HELD_BYTES });
  let dropped = 0;
  let waiting = false;
  let hurry = false;
  // A flush during a write does nothing, so it is asked for again once the write is over.
  out.on("drain", () => {
    if (!hurry) return;
    hurry = false;
    out.flush();
  });
  out.on("drop", () => dropped++);
  // A reader that went away (EPIPE) must not end the process.
  out.on("error", () => dropped++);
  clock.setInterval(() => {
    if (!waiting) return;
    waiting = false;
    out.flush();
  }, FLUSH_EVERY_MS);
  return {
    write(line, urgent) {
      out.write(line);
      waiting = true;
      if (!urgent) return;
      hurry = true;
      out.flush();
    },
    flush() {
      try {
        out.flushSync();
      } catch {
        // Nobody reads any more; the process is about to end.
      }
    },
    get dropped() {
      return dropped;
    },
  };
}
