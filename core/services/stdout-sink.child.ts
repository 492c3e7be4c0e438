import { systemClock } from "./clock.ts";
import { createFdSink } from "./stdout-sink.ts";

/* Writes lines to stdout, more than is held for a reader, and tells on stderr what became of them. */

const LINES = 80_000;
const sink = createFdSink(1, systemClock);
const line = `${JSON.stringify({ msg: "request", filler: "x".repeat(400) })}\n`;
const before = process.memoryUsage.rss();
for (let i = 0; i < LINES; i++) {
  sink.write(line, false);
  // A gateway writes between other things.
  if (i % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
}
const grownMiB = (process.memoryUsage.rss() - before) / 1_048_576;
const began = performance.now();
await sink.close();
const closedAfterMs = performance.now() - began;
process.stderr.write(JSON.stringify({ lines: LINES, dropped: sink.dropped, grownMiB, closedAfterMs }));
process.exit(0);
