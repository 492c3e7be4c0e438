import { expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, read, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createFakeClock } from "sluice/testing";
import { eventually } from "../http1/test-server.ts";
import { createFdSink } from "./stdout-sink.ts";

const CHILD = join(import.meta.dir, "stdout-sink.child.ts");

interface Pipe extends Disposable {
  /** Its writing end. */
  readonly fd: number;
  /** Reads this many bytes, one character each. */
  read(bytes: number): Promise<string>;
}

/** A pipe in this process: nobody reads until the test does, and there is always somebody who could. */
function openPipe(flags = 0): Pipe {
  const dir = mkdtempSync(join(tmpdir(), "sluice-sink-"));
  const path = join(dir, "pipe");
  Bun.spawnSync(["mkfifo", path]);
  // Opened for both, or it would wait for somebody at the other end.
  const fd = openSync(path, constants.O_RDWR | flags);
  const reader = openSync(path, constants.O_RDONLY);
  return {
    fd,
    async read(bytes) {
      let text = "";
      while (text.length < bytes) {
        const { bytesRead, buffer } = await promisify(read)(reader, Buffer.alloc(65_536), 0, 65_536, null);
        text += buffer.toString("latin1", 0, bytesRead);
      }
      return text;
    },
    [Symbol.dispose]() {
      closeSync(fd);
      closeSync(reader);
      rmSync(dir, { recursive: true });
    },
  };
}

function openFile(): { fd: number; text(): string } & Disposable {
  const dir = mkdtempSync(join(tmpdir(), "sluice-sink-"));
  const path = join(dir, "log");
  const fd = openSync(path, "w");
  return {
    fd,
    text: () => readFileSync(path, "utf8"),
    [Symbol.dispose]() {
      closeSync(fd);
      rmSync(dir, { recursive: true });
    },
  };
}

test("lines wait for others, a moment at most; an urgent one takes them with it", async () => {
  using file = openFile();
  const clock = createFakeClock();
  const sink = createFdSink(file.fd, clock);
  sink.write("one\n", false);
  await new Promise((resolve) => setImmediate(resolve));
  expect(file.text()).toBe("");
  await clock.advance(100);
  await eventually(() => file.text() === "one\n");
  sink.write("two\n", false);
  sink.write("three\n", true);
  await eventually(() => file.text() === "one\ntwo\nthree\n");
});

test("closing writes what is held; lines longer than a batch keep their place", async () => {
  using file = openFile();
  const sink = createFdSink(file.fd, createFakeClock());
  const lines = ["short\n", `${"long ü".repeat(40_000)}\n`, "last\n"];
  for (const line of lines) sink.write(line, false);
  await sink.close();
  expect(file.text()).toBe(lines.join(""));
  await sink.close();
});

test("a reader that pauses: what is not held is dropped and counted, the rest arrives whole, and it is told once", async () => {
  using pipe = openPipe();
  const sink = createFdSink(pipe.fd, createFakeClock());
  const resumed: number[] = [];
  sink.onResumed = (dropped) => void resumed.push(dropped);
  const line = `${"x".repeat(999)}\n`;
  const written = 20_000;
  for (let i = 0; i < written; i++) sink.write(line, false);
  expect(sink.dropped).toBeGreaterThan(1_000);
  expect(resumed).toEqual([]);

  const closing = sink.close();
  const received = await pipe.read((written - sink.dropped) * line.length);
  await closing;
  const lines = received.split("\n").slice(0, -1);
  expect(lines.every((one) => one.length === 999)).toBe(true);
  expect(lines.length + sink.dropped).toBe(written);
  expect(resumed).toEqual([sink.dropped]);
});

test("a pipe that takes a part, or nothing for now, is no obstacle: all arrives in order, and soon", async () => {
  using pipe = openPipe(constants.O_NONBLOCK);
  const sink = createFdSink(pipe.fd, createFakeClock());
  const lines = Array.from({ length: 12_000 }, (_, i) => `${i} ${"x".repeat(990)}\n`);
  const began = performance.now();
  for (const [i, line] of lines.entries()) sink.write(line, i % 3 === 0);
  const text = lines.join("");
  const closing = sink.close();
  expect((await pipe.read(text.length)) === text).toBe(true);
  await closing;
  expect(sink.dropped).toBe(0);
  // 12 MB, 64 KiB at a time: a tenth of a second for each would be 18 s.
  expect(performance.now() - began).toBeLessThan(4_000);
});

test("urgent lines go out at once, those that come behind a write with the next one", async () => {
  using file = openFile();
  const sink = createFdSink(file.fd, createFakeClock());
  for (let i = 0; i < 100; i++) sink.write(`${i}\n`, true);
  await eventually(() => file.text().endsWith("99\n"));
  expect(file.text().split("\n")).toHaveLength(101);
});

test("a reader that went away: the process lives, every line is counted, closing does not wait", async () => {
  const child = Bun.spawn(["sh", "-c", `exec "$0" "$1" | head -c 100 >/dev/null`, process.execPath, CHILD], {
    ...{ stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  });
  const told = JSON.parse(await new Response(child.stderr).text()) as Told;
  expect(told.dropped).toBeGreaterThan(told.lines * 0.9);
  expect(told.dropped).toBeLessThanOrEqual(told.lines);
  expect(told.closedAfterMs).toBeLessThan(500);
  expect(told.grownMiB).toBeLessThan(64);
});

test("a reader that never reads: memory is bounded, lines are counted, the process ends in time", async () => {
  using pipe = openPipe();
  const child = Bun.spawn([process.execPath, CHILD], { stdin: "ignore", stdout: pipe.fd, stderr: "pipe" });
  const told = JSON.parse(await new Response(child.stderr).text()) as Told;
  expect(await child.exited).toBe(0);
  // 16 MiB of the 33 are held.
  expect(told.dropped).toBeGreaterThan(told.lines / 4);
  expect(told.grownMiB).toBeLessThan(64);
  expect(told.closedAfterMs).toBeLessThan(3_000);
});

interface Told {
  readonly lines: number;
  readonly dropped: number;
  readonly grownMiB: number;
  readonly closedAfterMs: number;
}
