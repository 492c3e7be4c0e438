import { expect, test } from "bun:test";
import { HeaderList } from "sluice/plugin";
import { OwnedMemory } from "../http1/index.ts";
import { ACK, MAX_FRAME, PING, WINDOW_UPDATE } from "../http2/index.ts";
import { STREAM_WINDOW } from "./http2-stream.ts";
import { h2Peer, type H2PeerConnection, HEADERS, OK_HEAD } from "./test-h2-peer.ts";
import { http2, outbound } from "./test-kit.ts";

/* How far an upstream may run ahead of whoever reads its answer. */

const TOTAL = 64 * 1_048_576;
const PIECE = "x".repeat(MAX_FRAME);

/** Sends an answer's body as fast as it is allowed to. */
class Sender {
  sent = 0;
  readonly #session: H2PeerConnection;
  /** Frames that were looked at. */
  #seen = 0;
  #window = STREAM_WINDOW;
  #pings = 0;

  constructor(session: H2PeerConnection) {
    this.#session = session;
  }

  send(): void {
    while (this.#window >= MAX_FRAME && this.sent < TOTAL) {
      this.#session.data(1, PIECE);
      this.#window -= MAX_FRAME;
      this.sent += MAX_FRAME;
    }
  }

  /** Waits until everything was seen, and takes in what is granted. */
  async settle(): Promise<void> {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(++this.#pings);
    this.#session.send(PING, 0, 0, payload);
    const { frames } = this.#session;
    await this.#session.frame(
      () =>
        frames.findLast(({ type, flags }) => type === PING && flags === ACK)?.payload.equals(payload) ===
        true,
    );
    for (; this.#seen < frames.length; this.#seen++) {
      const { type, stream, payload: increment } = frames[this.#seen]!;
      if (type === WINDOW_UPDATE && stream === 1) this.#window += increment.readUInt32BE();
    }
  }
}

test("an upstream that is faster than its reader stays within the windows, however long it goes on", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const request = outbound();
  const pending = transport.request(request);
  const session = await upstream.session(0);
  await session.frame(({ type }) => type === HEADERS);
  session.head(1, OK_HEAD);
  const body = (await pending).body!;
  const sender = new Sender(session);
  let read = 0;
  const most = STREAM_WINDOW + 131_072;
  while (sender.sent < TOTAL) {
    sender.send();
    await sender.settle();
    expect(sender.sent - read).toBeLessThanOrEqual(most);
    for (const until = Math.min(read + 65_536, sender.sent); read < until;) {
      read += (await body.read())?.byteLength ?? 0;
    }
  }
  session.data(1, "", true);
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) read += chunk.byteLength;
  expect(read).toBe(TOTAL);
  transport.close();
});

test("a reader that frees what it has read leaves the answers beside it whole", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const [one, three] = [transport.request(outbound()), transport.request(outbound())];
  const session = await upstream.session(0);
  await session.frame(({ type, stream }) => type === HEADERS && stream === 3);
  session.head(1, OK_HEAD);
  session.head(3, OK_HEAD);
  // In one piece, which the kernel hands on as one: all of it lies in the same memory.
  const frames: Buffer[] = [];
  for (let i = 0; i < 6; i++) {
    const header = Buffer.from([0x00, 0x40, 0x00, 0x00, i > 3 ? 1 : 0, 0, 0, 0, i % 2 === 0 ? 1 : 3]);
    frames.push(header, Buffer.alloc(MAX_FRAME, i % 2 === 0 ? "a" : "b"));
  }
  session.raw.write(Buffer.concat(frames));
  const first = (await one).body!;
  const second = (await three).body!;
  await new Sender(session).settle();
  const memory = second.own?.() === true ? new OwnedMemory() : undefined;
  for (let chunk = await second.read(); chunk !== null; chunk = await second.read()) {
    memory?.begin(chunk);
    expect(Buffer.from(chunk).equals(Buffer.alloc(MAX_FRAME, "b"))).toBe(true);
    memory?.end(chunk);
  }
  for (let i = 0; i < 3; i++) {
    const chunk = Buffer.from((await first.read()) ?? []);
    expect(chunk.equals(Buffer.alloc(MAX_FRAME, "a"))).toBe(true);
  }
  expect(await first.read()).toBeNull();
  transport.close();
});

test("frames of one byte each that nobody reads are held as few pieces", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const pending = transport.request(outbound());
  const session = await upstream.session(0);
  await session.frame(({ type }) => type === HEADERS);
  session.head(1, OK_HEAD);
  const body = (await pending).body!;
  for (let i = 0; i < 40_000; i++) session.data(1, "x");
  session.data(1, "", true);
  await new Sender(session).settle();
  let pieces = 0;
  let bytes = 0;
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) {
    pieces++;
    bytes += chunk.byteLength;
  }
  expect(bytes).toBe(40_000);
  expect(pieces).toBeLessThan(40);
  transport.close();
});

test("many large heads that the upstream does not read yet are no flood", async () => {
  using upstream = h2Peer({ maxStreams: 400 });
  const transport = http2({ port: upstream.port, pool: { maxConnections: 1, maxPending: 400 } });
  const first = transport.request(outbound());
  const session = await upstream.session(0);
  await session.frame(({ type }) => type === HEADERS);
  session.raw.pause();
  const count = 200;
  const later = Array.from({ length: count }, () =>
    transport.request(outbound({ headers: HeaderList.from([["x-long", "y".repeat(50_000)]]) })),
  );
  session.head(1, OK_HEAD, true);
  expect((await first).status).toBe(200);
  session.raw.resume();
  const last = 1 + 2 * count;
  await session.frame(({ stream, type }) => stream === last && type === HEADERS);
  for (let id = 3; id <= last; id += 2) session.head(id, OK_HEAD, true);
  for (const { status } of await Promise.all(later)) expect(status).toBe(200);
  transport.close();
});
