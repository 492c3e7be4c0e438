import { describe, expect, test } from "bun:test";
import { type Body, BytesBody, HeaderList, type SluiceError } from "sluice/plugin";
import type { Sent } from "../listener/inbound.ts";
import type { Http1Inbound } from "./http1-inbound.ts";
import { eventually, settled, testServer, turns } from "./test-server.ts";
import { memoryServer, MemoryWire } from "./test-wire.ts";

/* Several requests on one connection: in order, one at a time, and nothing of one in another. */

const get = (target: string, fields = "") => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const text = (value: string) => new BytesBody(Buffer.from(value));
const echo = (inbound: Http1Inbound) => inbound.respond(200, new HeaderList(), text(inbound.rawTarget));
const bodies = (received: string) => received.match(/\r\n\r\n(\/[^H]*)/g)?.map((part) => part.trim());

describe("requests sent ahead", () => {
  test("are answered in their order, each when the one before is done", async () => {
    const waiting: Http1Inbound[] = [];
    using server = testServer((inbound) => void waiting.push(inbound));
    const client = await server.connect(["/1", "/2", "/3"].map((target) => get(target)).join(""));
    for (let i = 0; i < 3; i++) {
      await eventually(() => waiting.length > i);
      await turns(5);
      expect(waiting).toHaveLength(i + 1);
      await echo(waiting[i]!);
    }
    await client.until("/3");
    expect(bodies(client.received)).toEqual(["/1", "/2", "/3"]);
  });

  test("a thousand of them at once are all answered", async () => {
    using server = testServer(echo);
    const targets = Array.from({ length: 1000 }, (_, i) => `/${i}`);
    const client = await server.connect(targets.map((target) => get(target)).join(""));
    await client.until("/999");
    expect(bodies(client.received)).toEqual(targets);
    expect(server.server.connections).toBe(1);
  });

  test("without end stop being read", async () => {
    let inbound: Http1Inbound | undefined;
    using server = testServer((request) => void (inbound ??= request));
    const client = await server.connect(get("/first"));
    await eventually(() => inbound !== undefined);
    const flood = Buffer.from(get("/flood").repeat(30_000));
    let taken = 0;
    const send = () => {
      for (let n = client.offer(flood); n > 0; n = client.offer(flood)) taken += n;
    };
    // A server that read on would never let this come to rest.
    await settled(() => taken, send);
    client.reset();
    await eventually(() => server.server.connections === 0);
  });

  test("behind one that closes the connection are not begun", async () => {
    const seen: string[] = [];
    using server = testServer((inbound) => (seen.push(inbound.rawTarget), echo(inbound)));
    const client = await server.connect(get("/1", "Connection: close\r\n") + get("/2"));
    expect(bodies(await client.ended())).toEqual(["/1"]);
    expect(seen).toEqual(["/1"]);
  });

  test("behind an answer that says close are not begun", async () => {
    const seen: string[] = [];
    using server = testServer((inbound) => {
      seen.push(inbound.rawTarget);
      return inbound.respond(200, new HeaderList(["connection", "x, close"]), null);
    });
    const client = await server.connect(get("/1") + get("/2"));
    expect(await client.ended()).toContain("connection: close\r\n");
    expect(seen).toEqual(["/1"]);
  });

  test("to HEAD and after 204 and 304 no answer runs into the next", async () => {
    using server = testServer((inbound) =>
      inbound.respond(Number(inbound.rawTarget.slice(1)), new HeaderList(), text("body")),
    );
    const client = await server.connect(
      get("/200").replace("GET", "HEAD") + get("/204") + get("/304") + get("/200", "Connection: close\r\n"),
    );
    const answers = (await client.ended()).split("HTTP/1.1 ").slice(1);
    expect(answers.map((answer) => [answer.slice(0, 3), answer.split("\r\n\r\n")[1]])).toEqual([
      ["200", ""],
      ["204", ""],
      ["304", ""],
      ["200", "body"],
    ]);
  });
});

describe("a body that nobody read", () => {
  const post = (length: number, sent = length) =>
    `POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${"x".repeat(sent)}`;

  test("and that is small is thrown away; the connection lives on", async () => {
    using server = testServer(echo);
    const client = await server.connect(post(60_000, 10));
    await client.until("/1");
    expect(client.received).not.toContain("connection: close");
    await client.send("x".repeat(59_990) + get("/2"));
    await client.until("/2");
    expect(bodies(client.received)).toEqual(["/1", "/2"]);
  });

  test("and that is large ends the connection, which the answer says", async () => {
    using server = testServer(echo);
    const client = await server.connect(post(1_000_000, 10));
    const received = await client.ended();
    expect(received).toContain("connection: close\r\n");
    expect([bodies(received), client.end]).toEqual([["/1"], "fin"]);
    // The client may send on for a while without losing the answer to a reset.
    await client.send("x".repeat(500_000));
    client.finish();
    await eventually(() => server.server.connections === 0);
    expect(client.end).toBe("fin");
  });

  test("and that goes on and on in chunks ends the connection", async () => {
    using server = testServer(echo);
    const client = await server.connect("POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    await client.until("/1");
    for (let i = 0; i < 5 && client.end === undefined; i++)
      await client.send(`4000\r\n${"x".repeat(0x4000)}\r\n`);
    await client.ended();
    expect(client.end).toBe("fin");
  });

  test("and that breaks off behind its answer is no reason for a reset, which could overtake that", () => {
    const server = memoryServer(echo as never);
    const wire = new MemoryWire(server);
    wire.owner.data(Buffer.from("POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    wire.owner.data(Buffer.from(`nonsense\r\n${get("/smuggled")}`));
    // RFC 9112 §9.6.
    expect([wire.ended, bodies(wire.written)]).toEqual(["fin", ["/1"]]);
    wire.owner.ended();
    expect([wire.ended, server.connections]).toEqual(["closed", 0]);
  });
});

describe("a body whose reader is slow", () => {
  test("stops the client, and arrives whole", async () => {
    let body: Body | null = null;
    let inbound: Http1Inbound | undefined;
    using server = testServer((request) => void (body = (inbound = request).body), { body: 1e9 });
    const total = 48 * 1_048_576;
    const client = await server.connect(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
    const piece = Buffer.alloc(1_048_576, "0123456789abcdef");
    let taken = 0;
    const sending = (async () => {
      for (; taken < total; taken += piece.byteLength) await client.send(piece);
    })();
    await eventually(() => body !== null);
    await settled(() => taken);
    expect(taken).toBeLessThan(total / 2);
    const hash = new Bun.CryptoHasher("sha256");
    let length = 0;
    for (let next = await body!.read(); next; next = await body!.read()) {
      hash.update(next);
      length += next.byteLength;
    }
    await sending;
    const expected = new Bun.CryptoHasher("sha256");
    for (let i = 0; i < total; i += piece.byteLength) expected.update(piece);
    expect([length, hash.digest("hex")]).toEqual([total, expected.digest("hex")]);
    await echo(inbound!);
    await client.until("\r\n\r\n/");
  });
});

describe("a client that leaves", () => {
  const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
  test.each([
    ["before its first byte", "", 0],
    ["in a head", "GET / HTTP/1.1\r\nHost", 0],
    ["behind a head", POST, 1],
    ["in a body", `${POST}he`, 1],
    ["in a chunk size", POST.replace("Content-Length: 5", "Transfer-Encoding: chunked") + "5", 1],
    ["in the trailers", POST.replace("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\nA: b", 1],
    ["behind a body", `${POST}hello`, 1],
    ["behind a request that it sent ahead", get("/1") + get("/2"), 1],
    ["while leave for the body is awaited", POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"), 1],
    ["while an upgrade is decided", get("/", "Connection: upgrade\r\nUpgrade: x\r\n"), 1],
  ])("%s: whoever works for it is told once, and nothing is left", async (_, sent, requests) => {
    for (const leave of ["finish", "reset"] as const) {
      const gone: SluiceError[] = [];
      const outcomes: unknown[] = [];
      let inbound: Http1Inbound | undefined;
      using server = testServer((request) => {
        inbound = request;
        request.onGone = (error) => void gone.push(error);
        const body = request.upgrade?.body ?? request.body;
        if (body === null) return;
        // Reads to the end, which does not come.
        void (async () => {
          try {
            while ((await body.read()) !== null);
            outcomes.push("whole");
          } catch (error) {
            outcomes.push(error);
          }
        })();
      });
      const client = await server.connect(sent);
      await eventually(() => server.wires.length === 1 && (requests === 0 || inbound !== undefined));
      client[leave]();
      await eventually(() => server.server.connections === 0);
      expect(gone.map(({ reason }) => reason)).toEqual(requests === 0 ? [] : ["client.gone"]);
      for (const outcome of outcomes.filter((one) => one !== "whole"))
        expect(outcome).toMatchObject({ code: "client_closed" });
      if (!sent.endsWith("hello")) expect(outcomes).not.toContain("whole");
      const late: Sent | undefined = await inbound?.respond(200, new HeaderList(), text("late"));
      expect(late?.complete ?? false).toBeFalse();
      expect(server.rejections).toEqual([]);
    }
  });
});
