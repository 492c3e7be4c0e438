import pino from "pino";
import type { Clock } from "sluice/plugin";
import type { LogSink } from "./log.ts";

/** Lines that are not urgent are gathered up to this size. A write costs a turn of another thread. */
const BATCH_BYTES = 65_536;
const FLUSH_EVERY_MS = 100;
const HELD_BYTES = 16 << 20;
/** How long the last lines wait for a reader. */
const CLOSING_MS = 1_000;

/** A sink that also counts the lines that a reader who stopped reading made it drop. */
export interface CountingSink extends LogSink {
  readonly dropped: number;
}

/**
 * A file descriptor, written in batches by another thread's turn so that a slow reader never stops a request.
 * At most 16 MiB are held for a reader that does not read; later lines are dropped and counted.
 */
export function createFdSink(fd: number, clock: Clock): CountingSink {
  // Whole batches only: given single lines, it measures all that it holds again at each of them.
  const out = pino.destination({ fd, sync: false, contentMode: "buffer", maxLength: HELD_BYTES });
  let batch = Buffer.allocUnsafe(BATCH_BYTES);
  let used = 0;
  let dropped = 0;
  let unsent = 0;
  let closing: (() => void) | undefined;

  // What it takes is bytes, whatever its type says.
  const hand = (bytes: Buffer): void => void out.write(bytes as unknown as string);
  const send = (): void => {
    if (used === 0) return;
    const full = batch.subarray(0, used);
    // The rest serves the lines that come next.
    batch =
      batch.byteLength - used >= BATCH_BYTES / 4 ? batch.subarray(used) : Buffer.allocUnsafe(BATCH_BYTES);
    used = 0;
    unsent += full.byteLength;
    hand(full);
  };

  out.on("write", (written: number) => {
    unsent -= written;
    if (unsent <= 0) closing?.();
  });
  out.on("drop", (bytes: unknown) => {
    const lost = bytes as Buffer;
    unsent -= lost.byteLength;
    for (let at = lost.indexOf(10); at >= 0; at = lost.indexOf(10, at + 1)) dropped++;
  });
  // A reader that went away (EPIPE) must not end the process.
  out.on("error", () => {
    dropped++;
    closing?.();
  });
  clock.setInterval(send, FLUSH_EVERY_MS);

  return {
    write(line, urgent) {
      // UTF-8 takes up to three bytes for a unit of UTF-16.
      const most = line.length * 3;
      if (most > batch.byteLength - used) send();
      if (most <= batch.byteLength - used) used += batch.write(line, used);
      else {
        const long = Buffer.from(line);
        unsent += long.byteLength;
        hand(long);
      }
      if (urgent) send();
    },
    close() {
      send();
      if (unsent <= 0) return Promise.resolve();
      return new Promise((resolve) => {
        closing = resolve;
        clock.setTimeout(resolve, CLOSING_MS);
      });
    },
    get dropped() {
      return dropped;
    },
  };
}
