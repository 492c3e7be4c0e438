import { describe, expect, test } from "bun:test";
import { type Body, BytesBody, HeaderList, type SluiceError } from "sluice/plugin";
import type { Sent } from "../listener/inbound.ts";
import type { Http1Inbound } from "./http1-inbound.ts";
import { eventually, LIMITS, statusOf, testServer, turns } from "./test-server.ts";
import { memoryServer, MemoryWire } from "./test-wire.ts";

/* A client that is slow costs a connection for a bounded time, and learns which time that was. */

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const { headerTimeout, bodyTimeout, idleTimeout } = LIMITS;
/** The sweep looks at most this much later. */
const LATE = 250;
const ok = (inbound: Http1Inbound) => inbound.respond(200, new HeaderList(), null);

describe("a head that comes too slowly is refused with 408", () => {
  test.each([
    ["in the request line", "GE"],
    ["behind the request line", "GET / HTTP/1.1\r\n"],
    ["in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: "],
    ["before its last byte", "GET / HTTP/1.1\r\nHost: a\r\n\r"],
  ])("%s", async (_, part) => {
    using server = testServer(ok);
    const client = await server.connect(part);
    await eventually(() => server.wires.length === 1);
    await server.clock.advance(headerTimeout - 1);
    expect(client.received).toBe("");
    await server.clock.advance(LATE + 1);
    expect(await client.ended()).toStartWith("HTTP/1.1 408 ");
    expect(client.received).toContain("connection: close\r\n");
    expect(server.rejections).toMatchObject([{ code: "request_timeout", reason: "timeout.head" }]);
    client.finish();
    await eventually(() => server.server.connections === 0);
  });

  test("however often a byte comes, counted from the first", async () => {
    using server = testServer(ok, { headerTimeout: 1_000 });
    const client = await server.connect();
    await eventually(() => server.wires.length === 1);
    const { owner } = server.wires[0]!;
    for (const byte of "GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaa") {
      owner.data(Buffer.from(byte));
      await server.clock.advance(50);
    }
    expect(await client.ended()).toStartWith("HTTP/1.1 408 ");
  });

  test("behind another request, too, counted from its own first byte", async () => {
    using server = testServer(ok);
    const client = await server.connect(GET);
    await client.until("\r\n\r\n");
    await server.clock.advance(60_000);
    server.wires[0]!.owner.data(Buffer.from("GET"));
    await server.clock.advance(headerTimeout - 1);
    expect(client.end).toBeUndefined();
    await server.clock.advance(LATE + 1);
    expect(await client.ended()).toContain("HTTP/1.1 408 ");
  });
});

describe("a body that comes too slowly fails for its reader", () => {
  test.each([
    ["none of it", "Content-Length: 5\r\n\r\n"],
    ["half of it", "Content-Length: 5\r\n\r\nhe"],
    ["half a chunk size", "Transfer-Encoding: chunked\r\n\r\n1"],
    ["half a chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"],
    ["no trailers", "Transfer-Encoding: chunked\r\n\r\n0\r\n"],
    ["half a trailer", "Transfer-Encoding: chunked\r\n\r\n0\r\nA: "],
  ])("%s", async (_, part) => {
    let error: unknown;
    let taken = false;
    using server = testServer(async (inbound) => {
      taken = true;
      try {
        while ((await inbound.body!.read()) !== null);
      } catch (thrown) {
        error = thrown;
      }
      await inbound.respond(statusOf(error), new HeaderList(), null);
    });
    const client = await server.connect(`POST / HTTP/1.1\r\nHost: a\r\n${part}`);
    await eventually(() => taken);
    await server.clock.advance(bodyTimeout - 1);
    expect(client.received).toBe("");
    await server.clock.advance(LATE + 1);
    expect(await client.ended()).toStartWith("HTTP/1.1 408 ");
    expect(error).toMatchObject({ code: "request_timeout", reason: "timeout.body" });
    client.finish();
    await eventually(() => server.server.connections === 0);
  });

  test("but every piece begins the time anew, and while nobody reads it stands still", async () => {
    let inbound: Http1Inbound | undefined;
    using server = testServer((request) => void (inbound = request));
    const client = await server.connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n");
    await eventually(() => inbound !== undefined);
    for (let i = 0; i < 3; i++) {
      await server.clock.advance(bodyTimeout - LATE - 1);
      server.wires[0]!.owner.data(new Uint8Array(10));
    }
    server.wires[0]!.owner.data(new Uint8Array(100_000));
    await server.clock.advance(10 * bodyTimeout);
    let length = 0;
    for (let left = 100_030; left > 0; left = 100_030 - length)
      length += (await inbound!.body!.read())!.byteLength;
    expect([length, client.end]).toEqual([100_030, undefined]);
    await inbound!.respond(200, new HeaderList(), null);
    expect(await client.ended()).toStartWith("HTTP/1.1 200 ");
  });

  test("whose request was answered already: the connection closes", async () => {
    using server = testServer(ok);
    const client = await server.connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    await client.until("\r\n\r\n");
    await server.clock.advance(bodyTimeout + LATE);
    expect(await client.ended()).not.toContain("408");
    await eventually(() => server.server.connections === 0);
  });
});

describe("an idle connection is closed without a word", () => {
  test.each([
    ["that never said anything", ""],
    ["that sent an empty line", "\r\n"],
    ["that was served", GET],
  ])("%s", async (_, text) => {
    using server = testServer(ok);
    const client = await server.connect(text);
    if (text === GET) await client.until("\r\n\r\n");
    else await eventually(() => server.wires.length === 1);
    const { received } = client;
    await server.clock.advance(idleTimeout - 1);
    expect(client.end).toBeUndefined();
    await server.clock.advance(LATE + 1);
    expect(await client.ended()).toBe(received);
    expect([client.end, server.server.connections]).toEqual(["fin", 0]);
    expect(server.rejections).toEqual([]);
  });
});

test("a client that stops reading is cut off, and its answer with it", async () => {
  const piece = new Uint8Array(65_536);
  const body: Body = { length: undefined, trailers: undefined, read: () => piece, cancel() {} };
  let sent: Sent | undefined;
  const gone: SluiceError[] = [];
  using server = testServer(async (inbound) => {
    inbound.onGone = (error) => void gone.push(error);
    sent = await inbound.respond(200, new HeaderList(), body);
  });
  const client = await server.connect();
  client.pause();
  await client.send(GET);
  await eventually(() => server.wires.length === 1);
  await turns(50);
  await server.clock.advance(idleTimeout + 2 * LATE);
  await eventually(() => sent !== undefined);
  expect(sent).toMatchObject({ complete: false, error: { reason: "client.stalled" } });
  expect(gone.map(({ reason }) => reason)).toEqual(["client.stalled"]);
  expect(server.server.connections).toBe(0);
});

test("who does not close after the last answer is waited for only briefly", async () => {
  using server = testServer(ok);
  const client = await server.connect(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  await client.ended();
  expect([client.end, server.server.connections]).toEqual(["fin", 1]);
  await server.clock.advance(2_000 + LATE);
  await eventually(() => server.server.connections === 0);
});

test("who sent FIN before the answer had left is not waited for at all", async () => {
  const size = 16 * 1_048_576;
  let sent: Sent | undefined;
  let begun = false;
  using server = testServer(async (inbound) => {
    begun = true;
    sent = await inbound.respond(200, new HeaderList(), new BytesBody(new Uint8Array(size)));
  });
  const client = await server.connect();
  client.pause();
  await client.send(GET);
  await eventually(() => begun);
  client.finish();
  await turns(20);
  expect(sent).toBeUndefined();
  client.resume();
  await client.ended();
  expect(client.received.length).toBeGreaterThan(size);
  await eventually(() => server.server.connections === 0);
  expect(sent).toMatchObject({ bytes: size, complete: true });
});

test("nor on a wire that goes on to stand when both sides have sent FIN", () => {
  const server = memoryServer(ok as never);
  const wire = new MemoryWire(server);
  wire.room = 10;
  wire.owner.data(Buffer.from(GET));
  wire.owner.ended();
  expect(wire.ended).toBeUndefined();
  wire.room = Infinity;
  wire.owner.drained();
  expect([wire.ended, server.connections]).toEqual(["closed", 0]);
  expect(wire.written).toEndWith("\r\n\r\n");
});

test("one timer serves every connection, and none runs without one", async () => {
  using server = testServer(ok);
  expect(server.clock.pending).toBe(0);
  const clients = await Promise.all([server.connect(GET), server.connect(GET), server.connect(GET)]);
  for (const client of clients) await client.until("\r\n\r\n");
  expect(server.clock.pending).toBe(1);
  for (const client of clients) client.finish();
  await eventually(() => server.server.connections === 0);
  expect(server.clock.pending).toBe(0);
});
