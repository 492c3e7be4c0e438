import { expect, test } from "bun:test";
import { FrameReader } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { DATA, END_STREAM, HEADERS, PING } from "./frames.ts";

/** Takes at most `most` bytes at a time. */
class Sink {
  readonly writes: Buffer[] = [];
  most = Infinity;

  write(bytes: Uint8Array, length: number): number {
    const taken = Math.min(length, this.most);
    this.writes.push(Buffer.from(bytes.subarray(0, taken)));
    return taken;
  }

  /** Type, flags and stream of the frames that were written. */
  get frames(): number[][] {
    const frames: number[][] = [];
    new FrameReader({ frame: (type, flags, stream) => void frames.push([type, flags, stream]) }).push(
      Buffer.concat(this.writes),
    );
    return frames;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const bytes = Buffer.from("bytes");

test("what is written in one turn leaves in one piece, each connection's in its own", async () => {
  const sinks = [new Sink(), new Sink()];
  const writers = sinks.map((sink) => new FrameWriter(sink));
  for (const stream of [1, 3]) {
    for (const writer of writers) writer.data(stream, bytes, 0, 5, false);
    await Promise.resolve();
  }
  expect(sinks.map(({ writes }) => writes.length)).toEqual([0, 0]);
  await turn();
  expect(sinks.map(({ writes }) => writes.length)).toEqual([1, 1]);
  expect(sinks[1]!.frames).toEqual([
    [DATA, 0, 1],
    [DATA, 0, 3],
  ]);
});

test("a stream ends with its last frame, as long as that has not left and nothing came behind it", async () => {
  const sink = new Sink();
  const writer = new FrameWriter(sink);
  writer.headers(1, [":status", "200"], false);
  writer.end(1);
  writer.data(3, bytes, 0, 5, false);
  writer.end(3);
  writer.data(5, bytes, 0, 5, false);
  writer.ping(Buffer.alloc(8), false);
  writer.end(5);
  writer.data(7, bytes, 0, 5, false);
  writer.end(9);
  writer.data(7, bytes, 0, 5, false);
  await turn();
  writer.end(7);
  await turn();
  expect(sink.frames).toEqual([
    [HEADERS, 4 | END_STREAM, 1],
    [DATA, END_STREAM, 3],
    [DATA, 0, 5],
    [PING, 0, 0],
    [DATA, END_STREAM, 5],
    [DATA, 0, 7],
    [DATA, END_STREAM, 9],
    [DATA, 0, 7],
    [DATA, END_STREAM, 7],
  ]);
});

test("what the sink does not take waits, in order, and nobody else's bytes get into it", async () => {
  const slow = new Sink();
  slow.most = 7;
  const writer = new FrameWriter(slow);
  for (let stream = 1; stream < 100; stream += 2) writer.data(stream, bytes, 0, 5, false);
  await turn();
  expect([writer.blocked, slow.writes.length]).toEqual([true, 1]);
  const other = new FrameWriter(new Sink());
  for (let i = 0; i < 10; i++) {
    other.ping(Buffer.alloc(8, 0xff), true);
    await turn();
    slow.most = 7 * i;
    writer.drained();
  }
  slow.most = Infinity;
  writer.drained();
  expect([writer.blocked, writer.waiting]).toEqual([false, 0]);
  expect(slow.frames).toEqual(Array.from({ length: 50 }, (_, i) => [DATA, 0, 2 * i + 1]));
});
