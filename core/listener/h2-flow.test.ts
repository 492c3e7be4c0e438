import { expect, test } from "bun:test";
import { type Body, HeaderList } from "sluice/plugin";
import { eventually, type RawClient } from "../http1/test-server.ts";
import { DATA, END_STREAM, FRAME_HEADER, MAX_FRAME, PING, WINDOW_UPDATE } from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import { RECEIVE_WINDOW } from "./h2-stream.ts";
import type { Inbound } from "./inbound.ts";
import { EMPTY, type Fields, framesOf, get, headers, hello } from "./test-h2-client.ts";
import { testListener } from "./test-listener.ts";

/* What a client may send ahead of whoever reads it, and what that costs. */

const POST: Fields = [[":method", "POST"], ...get().slice(1)];

/** A client that sends as much as it is granted, never more. */
class Uploader {
  /** What the server has granted and was not used. */
  readonly #windows = new Map([[0, 65_535]]);
  readonly #client: RawClient;
  #pings = 0;
  sent = 0;

  constructor(client: RawClient, streams: readonly number[]) {
    this.#client = client;
    for (const stream of streams) this.#windows.set(stream, RECEIVE_WINDOW);
  }

  /** Sends `length` bytes on a stream, in frames of `size`, behind `head`, as far as the windows allow. @returns how many */
  async upload(stream: number, length: number, size: number, head: Uint8Array = EMPTY): Promise<number> {
    const count = Math.min(length, this.#windows.get(stream)!, this.#windows.get(0)!);
    const whole = frame(DATA, 0, stream, new Uint8Array(size).fill(0x61));
    const frames = Buffer.alloc((FRAME_HEADER + size) * Math.floor(count / size), whole);
    const rest = count % size;
    const last =
      rest === 0 ? EMPTY : frame(DATA, 0, stream, whole.subarray(FRAME_HEADER, FRAME_HEADER + rest));
    await this.#client.send(Buffer.concat([head, frames, last]));
    for (const id of [0, stream]) this.#windows.set(id, this.#windows.get(id)! - count);
    this.sent += count;
    return count;
  }

  /** Waits until the server has seen everything, and takes in what it grants. */
  async settle(): Promise<void> {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(++this.#pings);
    await this.#client.send(frame(PING, 0, 0, payload));
    const answered = () =>
      framesOf(this.#client).some((seen) => seen.type === PING && seen.payload.equals(payload));
    await this.#client.until(answered);
    let taken = 0;
    for (const { type, stream, payload: increment } of framesOf(this.#client)) {
      taken += FRAME_HEADER + increment.byteLength;
      if (type !== WINDOW_UPDATE || !this.#windows.has(stream)) continue;
      this.#windows.set(stream, this.#windows.get(stream)! + increment.readUInt32BE());
    }
    this.#client.received = this.#client.received.slice(taken);
  }
}

async function next(body: Body): Promise<number> {
  return (await body.read())?.byteLength ?? 0;
}

test("a client that sends faster than its reader reads stays within the windows, however long it goes on", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const client = await served.connect(hello(headers(1, POST, true)).toString("latin1"));
  const uploader = new Uploader(client, [1]);
  await uploader.settle();
  const body = requests[0]!.body!;
  const total = 64 * 1_048_576;
  let read = 0;
  while (uploader.sent < total) {
    await uploader.upload(1, total - uploader.sent, MAX_FRAME);
    await uploader.settle();
    for (const most = read + 65_536; read < most && read < uploader.sent;) read += await next(body);
    expect(uploader.sent - read).toBeLessThan(400_000);
  }
  await client.send(frame(DATA, END_STREAM, 1, EMPTY));
  for (let length = await next(body); length > 0; length = await next(body)) read += length;
  expect(read).toBe(total);
  void requests[0]!.respond(200, new HeaderList(), null);
});

test("a body that comes in one piece with its head is held back as well", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const client = await served.connect(hello(headers(1, POST, true)).toString("latin1"));
  const uploader = new Uploader(client, [1, 3]);
  await uploader.settle();
  await uploader.upload(3, 200_000, MAX_FRAME, headers(3, POST, true));
  for (let i = 0; i < 20; i++) {
    await uploader.settle();
    await uploader.upload(3, 1_000_000, MAX_FRAME);
  }
  expect(uploader.sent).toBeLessThan(400_000);
  let read = 0;
  while (read < uploader.sent) read += await next(requests[1]!.body!);
  expect(read).toBe(uploader.sent);
});

test("a client is not blamed for a reader that takes its time", async () => {
  const requests: Inbound[] = [];
  const limits = { body: 1e9, bodyTimeout: 1_000 };
  using served = await testListener((inbound) => requests.push(inbound), { limits });
  const client = await served.connect(hello(headers(1, POST, true)).toString("latin1"));
  const uploader = new Uploader(client, [1]);
  await uploader.settle();
  await uploader.upload(1, 60_000, MAX_FRAME);
  await uploader.settle();
  await uploader.upload(1, 150_000, MAX_FRAME);
  await uploader.settle();
  await served.clock.advance(5_000);
  const body = requests[0]!.body!;
  let read = 0;
  while (read < uploader.sent) read += await next(body);
  // Now it is the client's turn again.
  await served.clock.advance(5_000);
  const failed: unknown = await next(body).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "request_timeout" });
});

test("a body that nobody wants any more is not fetched", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const client = await served.connect(hello(headers(1, POST, true)).toString("latin1"));
  const uploader = new Uploader(client, [1]);
  await uploader.settle();
  await uploader.upload(1, 30_000, MAX_FRAME);
  await uploader.settle();
  requests[0]!.body!.cancel();
  for (let i = 0; i < 20; i++) {
    await uploader.upload(1, 1_000_000, MAX_FRAME);
    await uploader.settle();
  }
  expect(uploader.sent).toBeLessThan(400_000);
});

test("nothing is lost between pauses, whatever the size of the frames", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const client = await served.connect(hello(headers(1, POST, true)).toString("latin1"));
  const uploader = new Uploader(client, [1]);
  await uploader.settle();
  const body = requests[0]!.body!;
  let read = 0;
  for (let size = 1; size <= MAX_FRAME; size = size * 3 + 1) {
    for (let i = 0; i < 5; i++) {
      await uploader.upload(1, Math.min(150_000, size * 4_000), size);
      await uploader.settle();
      for (const most = read + 100_000; read < most && read < uploader.sent;) read += await next(body);
    }
  }
  await client.send(frame(DATA, END_STREAM, 1, EMPTY));
  for (let length = await next(body); length > 0; length = await next(body)) read += length;
  expect(read).toBe(uploader.sent);
});

test("frames of one byte each that nobody reads are held as few pieces", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const streams = [1, 3, 5, 7];
  const opening = streams.map((stream) => headers(stream, POST, true));
  const client = await served.connect(hello(...opening).toString("latin1"));
  const uploader = new Uploader(client, streams);
  await uploader.settle();
  for (const stream of streams) {
    for (let sent = 0; sent < 40_000;) {
      sent += await uploader.upload(stream, 40_000 - sent, 1);
      await uploader.settle();
    }
  }
  await client.send(Buffer.concat(streams.map((stream) => frame(DATA, END_STREAM, stream, EMPTY))));
  await uploader.settle();
  for (const { body } of requests) {
    let pieces = 0;
    let bytes = 0;
    for (let length = await next(body!); length > 0; length = await next(body!)) {
      pieces++;
      bytes += length;
    }
    expect(bytes).toBe(40_000);
    expect(pieces).toBeLessThan(40);
  }
});

test("a client that changes its mind about a paused upload is heard at once", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const client = await served.connect(hello(headers(1, POST, true)).toString("latin1"));
  const uploader = new Uploader(client, [1]);
  await uploader.settle();
  await uploader.upload(1, 200_000, MAX_FRAME);
  await uploader.settle();
  let gone: string | undefined;
  requests[0]!.onGone = (error) => (gone = error.code);
  await client.send(frame(0x3, 0, 1, Buffer.of(0, 0, 0, 8)));
  await eventually(() => gone !== undefined);
  expect(gone).toBe("client_closed");
});
