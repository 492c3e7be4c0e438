import { describe, expect, test } from "bun:test";
import { type Body, BodyQueue, BytesBody, HeaderList, type SluiceError } from "sluice/plugin";
import type { Sent } from "../listener/inbound.ts";
import type { Http1Inbound } from "./http1-inbound.ts";
import { eventually, settled, testServer, turns } from "./test-server.ts";

/* `101 Switching Protocols`: from a request to raw bytes both ways (RFC 9110 §7.8). */

const ASK = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const upgraded = () => new HeaderList(["upgrade", "echo"]);

/** Bytes to the client that a test pushes, and what was told of the reader. */
class Outgoing {
  paused = false;
  cancelledWith: unknown;
  readonly body = new BodyQueue({
    pause: () => void (this.paused = true),
    resume: () => void (this.paused = false),
    cancelled: (reason) => void (this.cancelledWith = reason ?? true),
  });
}

/** Everything that a body brings, until its end or its error. */
class Incoming {
  text = "";
  ended = false;
  error: unknown;
  constructor(body: Body) {
    void this.#read(body);
  }
  async #read(body: Body): Promise<void> {
    try {
      for (let piece = await body.read(); piece; piece = await body.read())
        this.text += Buffer.from(piece).toString("latin1");
      this.ended = true;
    } catch (error) {
      this.error = error;
    }
  }
}

/** A server that takes every offer, with what it sees of one. */
function tunnelServer(limits = {}) {
  const out = new Outgoing();
  const gone: SluiceError[] = [];
  const seen: { inbound?: Http1Inbound; incoming?: Incoming; sent?: Sent } = {};
  const server = testServer(async (inbound) => {
    seen.inbound = inbound;
    inbound.onGone = (error) => void gone.push(error);
    seen.incoming = new Incoming(inbound.upgrade!.body);
    seen.sent = await inbound.respond(101, upgraded(), out.body);
  }, limits);
  return { server, out, gone, seen, [Symbol.dispose]: () => server[Symbol.dispose]() };
}

describe("an offer", () => {
  test("is seen with its protocol; such a request has no body", async () => {
    using t = tunnelServer();
    const client = await t.server.connect(ASK);
    await client.until(SWITCHED);
    expect(t.seen.inbound!.upgrade!.protocol).toBe("echo");
    expect(t.seen.inbound!.body).toBeNull();
    expect(t.seen.inbound!.headers.flat).toEqual(["connection", "keep-alive, Upgrade", "upgrade", "echo"]);
  });

  test.each([
    ["that Connection does not name", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n"],
    ["without a protocol", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n"],
    ["of nothing", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n"],
    ["of no protocol", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a b\r\n\r\n"],
    ["in HTTP/1.0", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"],
    [
      "with a body",
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi",
    ],
    [
      "with chunks",
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
  ])("%s is none, and 101 is no answer to it", async (_, request) => {
    let offered: unknown;
    let sent: Sent | undefined;
    using server = testServer(async (inbound) => {
      offered = inbound.upgrade;
      sent = await inbound.respond(101, upgraded(), null);
    });
    const client = await server.connect(request);
    expect(await client.ended()).toBe("");
    expect(client.end).toBe("reset");
    expect(offered).toBeUndefined();
    expect(sent).toMatchObject({ complete: false });
    expect(server.server.connections).toBe(0);
  });

  test("that is not taken leaves an ordinary connection; what came early is the next request", async () => {
    const bodies: Body[] = [];
    using server = testServer((inbound) => {
      if (inbound.upgrade !== undefined) bodies.push(inbound.upgrade.body);
      return inbound.respond(200, new HeaderList(), new BytesBody(bytes(inbound.rawTarget)));
    });
    const client = await server.connect(`${ASK}GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const received = await client.ended();
    expect(received.match(/\r\n\r\n\/[a-z]+/g)).toEqual(["\r\n\r\n/chat", "\r\n\r\n/next"]);
    expect(bodies).toHaveLength(1);
    expect(async () => await bodies[0]!.read()).toThrow("cancelled");
  });

  test("that is taken later holds back what comes early, and no more than a little of it", async () => {
    let inbound: Http1Inbound | undefined;
    using server = testServer((request) => void (inbound = request));
    const client = await server.connect(`${ASK}early`);
    await eventually(() => inbound !== undefined);
    const flood = new Uint8Array(8 * 1_048_576).fill(0x78);
    const flooding = client.send(flood);
    await turns(200);
    const incoming = new Incoming(inbound!.upgrade!.body);
    expect(incoming.text).toBe("");
    const out = new Outgoing();
    void inbound!.respond(101, upgraded(), out.body);
    await flooding;
    await eventually(() => incoming.text.length === flood.byteLength + 5);
    expect(incoming.text).toStartWith("earlyxxx");
  });
});

describe("a tunnel", () => {
  test("carries raw bytes both ways, at once", async () => {
    using t = tunnelServer();
    const client = await t.server.connect(`${ASK}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.until(SWITCHED);
    await eventually(() => t.seen.incoming!.text.endsWith("\r\n\r\n"));
    expect(t.seen.incoming!.text).toBe("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    for (const word of ["one", "two\0\xff", "\r\n"]) {
      t.out.body.push(bytes(word));
      await client.until((c) => c.received.endsWith(word));
      await client.send(word);
      await eventually(() => t.seen.incoming!.text.endsWith(word));
    }
    expect(client.received).toBe(`${SWITCHED}onetwo\0\xff\r\n`);
    expect([t.seen.sent, t.server.rejections]).toEqual([undefined, []]);
  });

  test("that follows pipelined requests gets its bytes in order", async () => {
    let incoming: Incoming | undefined;
    using server = testServer(async (inbound) => {
      if (inbound.upgrade === undefined) {
        await Promise.resolve();
        await inbound.respond(200, new HeaderList(), null);
        return;
      }
      incoming = new Incoming(inbound.upgrade.body);
      await inbound.respond(101, upgraded(), new BytesBody(bytes("bye")));
    });
    const client = await server.connect();
    const { owner } = server.wires[0]!;
    owner.data(bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (const piece of [`${ASK}one `, "two ", "three"]) owner.data(bytes(piece));
    client.finish();
    await eventually(() => incoming?.ended === true);
    expect(incoming!.text).toBe("one two three");
    expect(await client.ended()).toEndWith(`${SWITCHED}bye`);
    await eventually(() => server.server.connections === 0);
  });

  test("whose client ends first goes on to the client, and ends well", async () => {
    using t = tunnelServer();
    const client = await t.server.connect(`${ASK}question`);
    await client.until(SWITCHED);
    client.finish();
    await eventually(() => t.seen.incoming!.ended);
    expect(t.seen.incoming!.text).toBe("question");
    expect([t.gone, client.end, t.seen.sent]).toEqual([[], undefined, undefined]);
    t.out.body.push(bytes("answer"));
    await client.until("answer");
    t.out.body.end();
    await client.ended();
    expect(client.end).toBe("fin");
    await eventually(() => t.server.server.connections === 0);
    expect(t.seen.sent).toMatchObject({ bytes: 6, complete: true, error: undefined });
    expect(t.gone).toEqual([]);
  });

  test("whose server ends first goes on from the client, and ends well", async () => {
    using t = tunnelServer();
    const client = await t.server.connect(ASK);
    t.out.body.push(bytes("done"));
    t.out.body.end();
    expect(await client.ended()).toBe(`${SWITCHED}done`);
    expect(client.end).toBe("fin");
    await client.send("still here");
    await eventually(() => t.seen.incoming!.text === "still here");
    expect([t.seen.sent, t.server.server.connections]).toEqual([undefined, 1]);
    client.finish();
    await eventually(() => t.server.server.connections === 0);
    expect(t.seen.incoming!.ended).toBeTrue();
    expect(t.seen.sent).toMatchObject({ bytes: 4, complete: true });
  });

  test("whose server ended first loses nothing of what its client sends, however slow the reader", async () => {
    let inbound: Http1Inbound | undefined;
    let sent: Sent | undefined;
    using server = testServer(async (request) => {
      inbound = request;
      sent = await request.respond(101, upgraded(), null);
    });
    const client = await server.connect(ASK);
    await client.ended();
    const total = 2 * 1_048_576;
    const sending = client.send(new Uint8Array(total).fill(0x78)).then(() => client.finish());
    await turns(100);
    const incoming = new Incoming(inbound!.upgrade!.body);
    await sending;
    await eventually(() => incoming.ended || incoming.error !== undefined);
    expect([incoming.text.length, incoming.error]).toEqual([total, undefined]);
    await eventually(() => server.server.connections === 0);
    expect(sent).toMatchObject({ complete: true });
  });

  test("without bytes to the client is open in the other direction only", async () => {
    let incoming: Incoming | undefined;
    using server = testServer((inbound) => {
      incoming = new Incoming(inbound.upgrade!.body);
      return inbound.respond(101, upgraded(), null);
    });
    const client = await server.connect(ASK);
    expect(await client.ended()).toBe(SWITCHED);
    await client.send("x");
    client.finish();
    await eventually(() => incoming!.ended && server.server.connections === 0);
  });

  test("whose client leaves fails in both directions", async () => {
    using t = tunnelServer();
    const client = await t.server.connect(`${ASK}x`);
    await client.until(SWITCHED);
    client.reset();
    await eventually(() => t.seen.sent !== undefined);
    expect(t.seen.sent).toMatchObject({ complete: false, error: { code: "client_closed" } });
    expect(t.gone.map(({ reason }) => reason)).toEqual(["client.gone"]);
    await eventually(() => t.seen.incoming!.error !== undefined);
    expect(t.out.cancelledWith).toMatchObject({ reason: "client.gone" });
    expect(t.server.server.connections).toBe(0);
  });

  test("whose bytes to the client break off is reset, and its other direction fails", async () => {
    using t = tunnelServer();
    const client = await t.server.connect(ASK);
    t.out.body.push(bytes("half"));
    await client.until("half");
    t.out.body.fail(new Error("the upstream died"));
    await client.ended();
    expect(client.end).toBe("reset");
    await eventually(() => t.seen.incoming!.error !== undefined);
    expect(t.seen.sent).toMatchObject({ bytes: 4, complete: false });
    expect(t.gone).toEqual([]);
    expect(t.server.server.connections).toBe(0);
  });

  test("whose reader leaves throws away what the client sends, until the other direction ends", async () => {
    using t = tunnelServer();
    const client = await t.server.connect(ASK);
    await client.until(SWITCHED);
    t.seen.inbound!.upgrade!.body.cancel();
    await client.send(new Uint8Array(524_288));
    t.out.body.push(bytes("bye"));
    t.out.body.end();
    expect(await client.ended()).toEndWith("bye");
    expect(client.end).toBe("fin");
    client.finish();
    await eventually(() => t.server.server.connections === 0);
    expect(t.seen.sent).toMatchObject({ bytes: 3, complete: true });
  });

  test("stops reading from a client whose bytes nobody takes", async () => {
    let inbound: Http1Inbound | undefined;
    using server = testServer((request) => {
      inbound = request;
      return request.respond(101, upgraded(), new Outgoing().body);
    });
    const client = await server.connect(ASK);
    await client.until(SWITCHED);
    const total = 32 * 1_048_576;
    let taken = 0;
    const piece = new Uint8Array(1_048_576);
    const sending = (async () => {
      for (; taken < total; taken += piece.byteLength) await client.send(piece);
    })();
    await settled(() => taken);
    expect(taken).toBeLessThan(total / 2);
    const incoming = new Incoming(inbound!.upgrade!.body);
    await sending;
    await eventually(() => incoming.text.length === total);
  });

  test("pulls no faster than its client reads", async () => {
    const piece = new Uint8Array(65_536).fill(0x61);
    const total = 64 * 1_048_576;
    let pulled = 0;
    const body: Body = {
      length: undefined,
      trailers: undefined,
      read: () => (pulled === total ? null : ((pulled += piece.byteLength), piece)),
      cancel() {},
    };
    let sent: Sent | undefined;
    using server = testServer(async (inbound) => (sent = await inbound.respond(101, upgraded(), body)));
    const client = await server.connect();
    client.pause();
    await client.send(ASK);
    await eventually(() => pulled > 0);
    await settled(() => pulled);
    expect(pulled).toBeLessThan(total / 2);
    client.resume();
    await client.until((c) => c.received.length === total + SWITCHED.length);
    client.finish();
    await eventually(() => sent !== undefined);
    expect(sent).toMatchObject({ bytes: total, complete: true });
  });
});

test("a WebSocket client talks through it: handshake, messages, close code (RFC 6455)", async () => {
  let sent: Sent | undefined;
  using server = testServer(async (inbound) => {
    const key = `${inbound.headers.get("sec-websocket-key")}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = new Bun.CryptoHasher("sha1").update(key).digest("base64");
    const out = new Outgoing();
    void echoFrames(inbound.upgrade!.body, out.body);
    const headers = new HeaderList(["upgrade", "websocket", "sec-websocket-accept", accept]);
    sent = await inbound.respond(101, headers, out.body);
  });
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/chat`);
  const messages: unknown[] = [];
  socket.addEventListener("message", ({ data }) => void messages.push(data));
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  for (const word of ["one", "two", "x".repeat(100)]) socket.send(word);
  await eventually(() => messages.length === 3);
  expect(messages).toEqual(["one", "two", "x".repeat(100)]);
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener("close", resolve));
  socket.close(4001, "done");
  expect((await closed).code).toBe(4001);
  await eventually(() => server.server.connections === 0);
  expect(sent).toMatchObject({ complete: true });
});

/** Sends short masked frames back without their mask, up to and with the close frame. */
async function echoFrames(from: Body, to: BodyQueue): Promise<void> {
  let held = Buffer.alloc(0);
  for (let piece = await from.read(); piece; piece = await from.read()) {
    held = Buffer.concat([held, piece]);
    for (;;) {
      const length = (held[1] ?? 0) & 0x7f;
      if (held.byteLength < 2 || held.byteLength < 6 + length) break;
      const frame = Buffer.from([held[0]!, length, ...held.subarray(6, 6 + length)]);
      for (let i = 0; i < length; i++) frame[2 + i]! ^= held[2 + (i % 4)]!;
      to.push(frame);
      if ((held[0]! & 0x0f) === 8) {
        to.end();
        return;
      }
      held = held.subarray(6 + length);
    }
  }
}

describe("time", () => {
  const limits = { tunnelTimeout: 600_000 };

  test("an idle tunnel outlives the timeouts of HTTP, and ends with its own", async () => {
    using t = tunnelServer(limits);
    const client = await t.server.connect(ASK);
    await client.until(SWITCHED);
    await t.server.clock.advance(300_000);
    expect(client.end).toBeUndefined();
    await t.server.clock.advance(301_000);
    await client.ended();
    expect(client.end).toBe("reset");
    expect(t.seen.sent).toMatchObject({ complete: false, error: { reason: "timeout.tunnel" } });
    expect(t.gone.map(({ reason }) => reason)).toEqual(["timeout.tunnel"]);
    expect(t.server.server.connections).toBe(0);
  });

  test("bytes in either direction keep it", async () => {
    using t = tunnelServer(limits);
    const client = await t.server.connect(ASK);
    await client.until(SWITCHED);
    for (let i = 0; i < 3; i++) {
      await t.server.clock.advance(400_000);
      await client.send("x");
      await eventually(() => t.seen.incoming!.text.length === i + 1);
      await t.server.clock.advance(400_000);
      t.out.body.push(bytes("y"));
      await client.until("y", i + 1);
    }
    expect(client.end).toBeUndefined();
    expect(t.server.server.connections).toBe(1);
  });

  test("one side that is closed gives the other half a minute of silence", async () => {
    using t = tunnelServer(limits);
    const client = await t.server.connect(ASK);
    await client.until(SWITCHED);
    client.finish();
    await eventually(() => t.seen.incoming!.ended);
    await t.server.clock.advance(29_000);
    t.out.body.push(bytes("last words"));
    await client.until("last words");
    await t.server.clock.advance(29_000);
    expect(t.server.server.connections).toBe(1);
    await t.server.clock.advance(2_000);
    await client.ended();
    expect(t.gone.map(({ reason }) => reason)).toEqual(["timeout.tunnel"]);
  });

  test("a drain leaves it alone; a shutdown cuts it", async () => {
    using t = tunnelServer(limits);
    const client = await t.server.connect(ASK);
    await client.until(SWITCHED);
    t.server.server.drain();
    await t.server.clock.advance(10_000);
    t.out.body.push(bytes("alive"));
    await client.until("alive");
    t.server.server.destroy();
    await client.ended();
    expect(client.end).toBe("reset");
    expect(t.gone.map(({ reason }) => reason)).toEqual(["shutdown"]);
    await eventually(() => t.server.server.connections === 0);
  });

  test("a shutdown that cuts a client which still talks is no good end, though all that was for it was sent", async () => {
    using t = tunnelServer(limits);
    const client = await t.server.connect(ASK);
    await client.until(SWITCHED);
    t.out.body.end();
    await client.ended();
    t.server.server.destroy();
    await eventually(() => t.seen.sent !== undefined);
    expect(t.seen.sent).toMatchObject({ complete: false, error: { reason: "shutdown" } });
    expect(t.gone.map(({ reason }) => reason)).toEqual(["shutdown"]);
  });

  test("an offer that is taken while the server drains is carried out", async () => {
    let inbound: Http1Inbound | undefined;
    using server = testServer((request) => void (inbound = request));
    const client = await server.connect(ASK);
    await eventually(() => inbound !== undefined);
    server.server.drain();
    const sent = inbound!.respond(101, upgraded(), new BytesBody(bytes("hello")));
    expect(await client.ended()).toBe(`${SWITCHED}hello`);
    client.finish();
    expect(await sent).toMatchObject({ complete: true });
    expect(server.server.connections).toBe(0);
  });
});
