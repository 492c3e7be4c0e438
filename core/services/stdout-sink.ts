import { writev } from "node:fs";
import type { Clock } from "sluice/plugin";
import type { LogSink } from "./log.ts";

/** Lines that are not urgent are gathered up to this size. A write costs a turn of another thread. */
const BATCH_BYTES = 65_536;
const FLUSH_EVERY_MS = 100;
const HELD_BYTES = 16 << 20;
/** Batches that go out in one write: under load a turn brings more than one. */
const BATCHES = 64;
/** How long the last lines wait for a reader. */
const CLOSING_MS = 1_000;
/** Between two looks at a pipe that is full: twice as long after each, up to the longest. */
const SHORTEST_RETRY_MS = 1;
const LONGEST_RETRY_MS = 64;

/** A sink that also counts the lines that a reader who stopped reading made it drop. */
export interface CountingSink extends LogSink {
  readonly dropped: number;
}

/**
 * A file descriptor, written in batches by another thread's turn so that a slow reader never stops a request.
 * At most 16 MiB are held for a reader that does not read; later lines are dropped and counted. A reader that went
 * away takes nothing any more: what was held and what comes is dropped and counted.
 */
export function createFdSink(fd: number, clock: Clock): CountingSink {
  return new FdSink(fd, clock);
}

class FdSink implements CountingSink {
  onResumed?: (dropped: number) => void;
  dropped = 0;
  /** Of `dropped`, those that `onResumed` was told of. */
  #reported = 0;
  readonly #fd: number;
  readonly #clock: Clock;
  #batch = Buffer.allocUnsafe(BATCH_BYTES);
  #used = 0;
  #usedLines = 0;
  /** The batch goes out as soon as the descriptor is free. */
  #urgent = false;
  /** What waits for the descriptor, in order. The first is being written. */
  #held: { bytes: Buffer; readonly lines: number }[] = [];
  #heldBytes = 0;
  #writing = false;
  #retryMs = SHORTEST_RETRY_MS;
  /** Nobody reads, and nobody will. */
  #gone = false;
  #closing: (() => void) | undefined;

  constructor(fd: number, clock: Clock) {
    this.#fd = fd;
    this.#clock = clock;
    clock.setInterval(() => {
      if (!this.#writing) this.#send();
    }, FLUSH_EVERY_MS);
  }

  write(line: string, urgent: boolean): void {
    // UTF-8 takes up to three bytes for a unit of UTF-16.
    const most = line.length * 3;
    if (most > this.#batch.byteLength - this.#used) this.#send();
    if (most <= this.#batch.byteLength - this.#used) {
      this.#used += this.#batch.write(line, this.#used);
      this.#usedLines++;
    } else this.#hold(Buffer.from(line), 1);
    if (!urgent) return;
    // Behind a write that is under way it goes out next, with all that comes until then.
    if (this.#writing) this.#urgent = true;
    else this.#send();
  }

  close(): Promise<void> {
    this.#send();
    if (this.#heldBytes === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimeout(() => this.#giveUp(), CLOSING_MS);
      this.#closing = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Hands the batch on, and begins to write where nothing is being written. */
  #send(): void {
    if (this.#used > 0) {
      const full = this.#batch.subarray(0, this.#used);
      const lines = this.#usedLines;
      // The rest serves the lines that come next.
      const rest = this.#batch.byteLength - this.#used;
      this.#batch =
        rest >= BATCH_BYTES / 4 ? this.#batch.subarray(this.#used) : Buffer.allocUnsafe(BATCH_BYTES);
      this.#used = this.#usedLines = 0;
      this.#hold(full, lines);
    }
    if (!this.#writing) this.#next();
  }

  #hold(bytes: Buffer, lines: number): void {
    if (this.#gone || this.#heldBytes + bytes.byteLength > HELD_BYTES) {
      this.dropped += lines;
      return;
    }
    this.#held.push({ bytes, lines });
    this.#heldBytes += bytes.byteLength;
    if (!this.#writing) this.#next();
  }

  #next(): void {
    const held = this.#held;
    this.#writing = held.length > 0;
    if (this.#writing) {
      const batches = held.slice(0, BATCHES).map(({ bytes }) => bytes);
      writev(this.#fd, batches, (error, written) => this.#wrote(error, written));
      return;
    }
    this.#closing?.();
    if (!this.#urgent) return;
    this.#urgent = false;
    this.#send();
  }

  #wrote(error: NodeJS.ErrnoException | null, written: number): void {
    if (this.#gone) return;
    if (error !== null) {
      this.#failed(error);
      return;
    }
    this.#retryMs = SHORTEST_RETRY_MS;
    this.#heldBytes -= written;
    const held = this.#held;
    let left = written;
    let whole = 0;
    while (whole < held.length && held[whole]!.bytes.byteLength <= left)
      left -= held[whole++]!.bytes.byteLength;
    held.splice(0, whole);
    // A pipe may take a part.
    if (left > 0) held[0]!.bytes = held[0]!.bytes.subarray(left);
    this.#next();
    if (this.dropped === this.#reported || this.#heldBytes > HELD_BYTES / 2) return;
    const lost = this.dropped - this.#reported;
    this.#reported = this.dropped;
    this.onResumed?.(lost);
  }

  #failed({ code }: NodeJS.ErrnoException): void {
    if (code === "EAGAIN" || code === "EBUSY") {
      // Not the clock's timer: this one must keep the process alive for its last lines.
      setTimeout(() => this.#next(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
      return;
    }
    // A full disk may have room again: the next turn tries once more. A reader that went away does not come back.
    this.#writing = false;
    if (code === "EPIPE" || code === "EBADF" || this.#closing !== undefined) this.#giveUp();
  }

  #giveUp(): void {
    this.#gone = true;
    for (const { lines } of this.#held) this.dropped += lines;
    this.#held = [];
    this.#heldBytes = 0;
    this.#closing?.();
  }
}
