import { describe, expect, test } from "bun:test";
import { BodyQueue, HeaderList } from "sluice/plugin";
import type { Http1Inbound } from "./http1-inbound.ts";
import { eventually, FACTS, type RawClient, testServer, turns } from "./test-server.ts";
import { memoryServer, MemoryWire } from "./test-wire.ts";

/* A server that drains finishes what was begun, begins nothing more, and lets nobody wait. */

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ok = (inbound: Http1Inbound) => inbound.respond(200, new HeaderList(), null);
const queue = () => new BodyQueue({ pause() {}, resume() {}, cancelled() {} });

const IDLE: readonly (readonly [string, string, number])[] = [
  ["before its first byte", "", 0],
  ["behind an empty line", "\r\n", 0],
  ["between two requests", GET, 1],
];

describe("a connection that was open", () => {
  test.each(IDLE)("%s, is closed soon", async (_, text, answers) => {
    using server = testServer(ok);
    const client = await server.connect();
    await eventually(() => server.wires.length === 1);
    server.wires[0]!.owner.data(Buffer.from(text));
    server.server.drain();
    await server.clock.advance(1_500);
    expect((await client.ended()).split("HTTP/1.1 ")).toHaveLength(answers + 1);
    expect([client.end, server.server.connections]).toEqual(["fin", 0]);
  });

  // RFC 9112 §9.5: it may have been on its way when the drain began.
  test.each(IDLE)(
    "%s, is served one more request, and told that it is the last",
    async (_, text, answers) => {
      using server = testServer(ok);
      const client = await server.connect();
      await eventually(() => server.wires.length === 1);
      server.wires[0]!.owner.data(Buffer.from(text));
      server.server.drain();
      await server.clock.advance(500);
      await client.send(GET);
      const received = await client.ended();
      expect(received.split("HTTP/1.1 200 ")).toHaveLength(answers + 2);
      expect(received).toContain("connection: close\r\n");
    },
  );
});

describe("a request that was begun is served, and is the last", () => {
  const LAST = "connection: close\r\n";

  test.each([1, 10, GET.length - 1])("its head, from byte %d on", async (at) => {
    using server = testServer(ok);
    const client = await server.connect();
    await eventually(() => server.wires.length === 1);
    server.wires[0]!.owner.data(Buffer.from(GET.slice(0, at)));
    server.server.drain();
    await client.send(GET.slice(at) + GET);
    const received = await client.ended();
    expect(received).toContain(LAST);
    expect(received.split("HTTP/1.1 ")).toHaveLength(2);
  });

  test("its body", async () => {
    let taken = false;
    using server = testServer(async (inbound) => {
      taken = true;
      while ((await inbound.body!.read()) !== null);
      await ok(inbound);
    });
    const client = await server.connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    await eventually(() => taken);
    server.server.drain();
    await client.send("llo");
    expect(await client.ended()).toContain(LAST);
  });

  test("its answer, though it said nothing of the end", async () => {
    const body = queue();
    using server = testServer((inbound) => inbound.respond(200, new HeaderList(), body));
    const client = await server.connect(GET);
    body.push(Buffer.from("half"));
    await client.until("half");
    server.server.drain();
    await server.clock.advance(60_000);
    body.push(Buffer.from("whole"));
    body.end();
    expect(await client.ended()).toEndWith("4\r\nhalf\r\n5\r\nwhole\r\n0\r\n\r\n");
    expect(client.end).toBe("fin");
    client.finish();
    await eventually(() => server.server.connections === 0);
  });

  test("but not those that wait behind it", async () => {
    const inbounds: Http1Inbound[] = [];
    using server = testServer((inbound) => void inbounds.push(inbound));
    const client = await server.connect(GET + GET);
    await eventually(() => inbounds.length === 1);
    server.server.drain();
    await ok(inbounds[0]!);
    expect(await client.ended()).toContain(LAST);
    expect(inbounds).toHaveLength(1);
  });

  test("the rest of a body that nobody wanted is still read: a reset could overtake the answer", () => {
    const server = memoryServer(ok as never);
    const wire = new MemoryWire(server);
    wire.owner.data(Buffer.from("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\nhe"));
    server.drain();
    // RFC 9112 §9.6: FIN first, both directions when the client has had its say.
    expect([wire.ended, server.connections]).toEqual(["fin", 1]);
    wire.owner.data(new Uint8Array(59_998));
    wire.owner.ended();
    expect([wire.ended, server.connections]).toEqual(["closed", 0]);
  });
});

describe("a connection that comes while the server drains", () => {
  test("is served what it brings along, and closed", async () => {
    const server = memoryServer(ok as never);
    server.drain();
    const wire = new MemoryWire(server, FACTS, GET);
    expect(wire.written).toContain("connection: close\r\n");
    expect(wire.ended).toBe("fin");
    server.destroy();
  });

  test("is served a request that comes at once", async () => {
    using server = testServer(ok);
    server.server.drain();
    const client = await server.connect(GET);
    expect(await client.ended()).toContain("connection: close\r\n");
    client.finish();
    await eventually(() => server.server.connections === 0);
  });

  test("is closed soon when it brings nothing", async () => {
    using server = testServer(ok);
    server.server.drain();
    const client = await server.connect();
    await eventually(() => server.wires.length === 1);
    await server.clock.advance(1_500);
    expect(await client.ended()).toBe("");
    expect([client.end, server.server.connections]).toEqual(["fin", 0]);
  });
});

test("a shutdown cuts whatever is left, and says why", async () => {
  const reasons: string[] = [];
  const stages = [
    "",
    "GET /",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
    GET,
    GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
  ];
  using server = testServer((inbound) => {
    inbound.onGone = (error) => void reasons.push(error.reason);
  });
  const clients: RawClient[] = [];
  for (const text of stages) clients.push(await server.connect(text));
  await eventually(() => server.server.connections === stages.length);
  await turns(20);
  server.server.destroy();
  for (const client of clients) await client.ended();
  expect(reasons).toEqual(["shutdown", "shutdown", "shutdown"]);
  expect(server.server.connections).toBe(0);
});
