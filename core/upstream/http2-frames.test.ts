import { expect, test } from "bun:test";
import fc from "fast-check";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { BytesBody, HeaderList } from "sluice/plugin";
import {
  DATA,
  END_STREAM,
  h2Peer,
  type H2PeerConnection,
  HEADERS,
  OK_HEAD,
  RST_STREAM,
  type SeenFrame,
} from "./test-h2-peer.ts";
import { failure, http2, ManualBody, outbound, textOf, until } from "./test-kit.ts";

/* HTTP/2 frame by frame: sizes, windows, and peers that break the rules. */

const isHead = ({ type }: SeenFrame) => type === HEADERS;
const GOAWAY = 7;

async function echoServer() {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    const copied = Object.entries(headers).filter(([name]) => name.startsWith("x-"));
    stream.respond({ ":status": 200, ...Object.fromEntries(copied) });
    stream.pipe(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const transport = http2({ port: (server.address() as AddressInfo).port });
  return {
    transport,
    [Symbol.dispose]() {
      transport.close();
      server.close();
    },
  };
}

test("heads above a frame's size go and come in CONTINUATION frames", async () => {
  using echo = await echoServer();
  const pairs = Array.from({ length: 60 }, (_, i) => [`x-${i}`, String(i).repeat(400)] as const);
  const answer = await echo.transport.request(outbound({ headers: HeaderList.from(pairs) }));
  expect([...answer.headers].filter(([name]) => name.startsWith("x-"))).toEqual(
    pairs.map((pair) => [...pair]),
  );
  expect(await textOf(answer)).toBe("");
});

test("any body in any pieces comes back from an echo as it was sent", async () => {
  using echo = await echoServer();
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40_000 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.boolean(), async (chunks, announced) => {
      const whole = Buffer.concat(chunks);
      const body = new ManualBody(announced ? whole.byteLength : undefined);
      for (const chunk of chunks) body.push(chunk);
      body.end();
      const answer = await echo.transport.request(outbound({ method: "POST", body }));
      expect(await textOf(answer)).toBe(whole.toString("latin1"));
    }),
    { numRuns: 40 },
  );
});

test("large answers to many readers of different pace all arrive", async () => {
  using echo = await echoServer();
  const size = 3_000_000;
  const sums = await Promise.all(
    Array.from({ length: 8 }, async (_, reader) => {
      const answer = await echo.transport.request(
        outbound({ method: "POST", body: new BytesBody(Buffer.alloc(size, reader)) }),
      );
      let sum = 0;
      for (let reads = 0; ; reads++) {
        const chunk = await answer.body!.read();
        if (chunk === null) return sum;
        sum += chunk.byteLength;
        if (reads % (reader + 1) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  );
  expect(sums).toEqual(Array.from({ length: 8 }, () => size));
});

test("padding is not content, and what is left of a window is what the peer says", async () => {
  using upstream = h2Peer({
    frame: (session, seen) => {
      if (!isHead(seen)) return;
      session.head(seen.stream, [...OK_HEAD, ["content-length", "3"]]);
      session.send(DATA, 0x8 | END_STREAM, seen.stream, Buffer.from("\x04abc\0\0\0\0", "latin1"));
    },
  });
  const transport = http2({ port: upstream.port });
  expect(await textOf(await transport.request(outbound()))).toBe("abc");
  transport.close();
});

test("a peer's window is kept to, grown, and shrunk below nothing", async () => {
  using upstream = h2Peer({ settings: [[4, 5]] });
  const transport = http2({ port: upstream.port });
  const body = new BytesBody(Buffer.from("0123456789abcdef"));
  const pending = transport.request(outbound({ method: "POST", body }));
  const session = await upstream.session(0);
  const arrived = (text: string) => session.frame(() => session.text(1) === text);
  await arrived("01234");
  // 5 to 2 leaves the stream at -3: five more make room for two.
  session.settings([4, 2]);
  session.window(1, 5);
  await arrived("0123456");
  session.window(1, 3);
  await arrived("0123456789");
  session.settings([4, 8]);
  await arrived("0123456789abcdef");
  session.head(1, OK_HEAD, true);
  expect((await pending).status).toBe(200);
  const content = session.of(1).filter(({ type }) => type === DATA);
  expect(content.at(-1)!.flags & END_STREAM).toBe(END_STREAM);
  transport.close();
});

test("a PING is answered", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const request = outbound();
  const failed = failure(transport.request(request));
  const session = await upstream.session(0);
  session.send(6, 0, 0, Buffer.from("12345678"));
  const pong = await session.frame(({ type, flags }) => type === 6 && flags === 1);
  expect(pong.payload.toString()).toBe("12345678");
  request.give(new Error("enough"));
  await failed;
  transport.close();
});

// One stream that breaks the rules is reset; the others go on.

const flaws: [name: string, answer: (session: H2PeerConnection, stream: number) => void, code?: number][] = [
  ["a head without :status", (s, id) => s.head(id, [["x-a", "1"]], true)],
  ["a status that is none", (s, id) => s.head(id, [[":status", "two"]], true)],
  ["a capital in a name", (s, id) => s.head(id, [...OK_HEAD, ["X-A", "1"]], true)],
  ["a line break in a value", (s, id) => s.head(id, [...OK_HEAD, ["x-a", "1\r\nset-cookie: a=b"]], true)],
  ["a second pseudo-field", (s, id) => s.head(id, [...OK_HEAD, [":path", "/"]], true)],
  ["a field of HTTP/1.1", (s, id) => s.head(id, [...OK_HEAD, ["transfer-encoding", "chunked"]], true)],
  ["101", (s, id) => s.head(id, [[":status", "101"]])],
  ["an informational head that ends the stream", (s, id) => s.head(id, [[":status", "103"]], true)],
  ["content before the head", (s, id) => s.data(id, "early")],
  ["a content-length that is none", (s, id) => s.head(id, [...OK_HEAD, ["content-length", "-1"]])],
  [
    "a second content-length",
    (s, id) => s.head(id, [...OK_HEAD, ["content-length", "1"], ["content-length", "2"]]),
  ],
  ["a control byte in a value", (s, id) => s.head(id, [...OK_HEAD, ["x-a", "1\x1b[2J"]], true)],
  ["no content where some was announced", (s, id) => s.head(id, [...OK_HEAD, ["content-length", "1"]], true)],
  [
    "too many fields",
    (s, id) => s.head(id, [...OK_HEAD, ...Array.from({ length: 600 }, () => ["x-a", "1"] as const)], true),
  ],
  ["a window grown by nothing", (s, id) => s.window(id, 0)],
  ["a window grown beyond measure", (s, id) => s.window(id, 2 ** 31 - 1), 3],
];

for (const [name, answer, code = 1] of flaws) {
  test(`${name} is a protocol failure of that stream alone`, async () => {
    using upstream = h2Peer({
      frame: (session, seen) => {
        if (!isHead(seen)) return;
        if (seen.stream === 1) answer(session, 1);
        else session.head(seen.stream, OK_HEAD, true);
      },
    });
    const transport = http2({ port: upstream.port });
    const error = await failure(transport.request(outbound()));
    expect([error.code, error.reason]).toEqual(["upstream_failed", "protocol"]);
    const session = upstream.sessions[0]!;
    const reset = await session.frame(({ type, stream }) => type === RST_STREAM && stream === 1);
    expect(reset.payload.readUInt32BE()).toBe(code);
    expect((await transport.request(outbound())).status).toBe(200);
    expect(upstream.sessions).toHaveLength(1);
    transport.close();
  });
}

for (const [name, trailers, end] of [
  ["trailers that do not end the stream", [["x-a", "1"]], false],
  ["trailers with a pseudo-field", [[":status", "200"]], true],
] as const) {
  test(`${name} fail the body`, async () => {
    using upstream = h2Peer({
      frame: (session, seen) => {
        if (!isHead(seen)) return;
        session.head(seen.stream, OK_HEAD);
        session.data(seen.stream, "part");
        session.head(seen.stream, trailers, end);
      },
    });
    const transport = http2({ port: upstream.port });
    expect((await failure(textOf(await transport.request(outbound())))).reason).toBe("protocol");
    transport.close();
  });
}

test("more than the stream's window fails that stream", async () => {
  using upstream = h2Peer({
    frame: (session, seen) => {
      if (!isHead(seen)) return;
      session.head(seen.stream, OK_HEAD);
      for (let i = 0; i < 17; i++) session.data(seen.stream, "z".repeat(16_384));
    },
  });
  const transport = http2({ port: upstream.port });
  const answer = await transport.request(outbound());
  await upstream.sessions[0]?.frame(({ type }) => type === RST_STREAM);
  expect((await failure(textOf(answer))).reason).toBe("protocol");
  transport.close();
});

// A connection that breaks the rules is closed with GOAWAY, and everything on it fails.

const empty = Buffer.alloc(0);
const breaches: [name: string, code: number, send: (session: H2PeerConnection) => void][] = [
  ["PUSH_PROMISE", 1, (s) => s.send(5, 4, 1, Buffer.alloc(4))],
  ["a frame on a stream that nobody opened", 1, (s) => s.data(99, "who?")],
  ["a frame on a server's stream", 1, (s) => s.resetStream(2, 0)],
  ["DATA on stream 0", 1, (s) => s.send(0, 0, 0, empty)],
  ["SETTINGS on a stream", 1, (s) => s.send(4, 0, 1, empty)],
  ["SETTINGS in part", 6, (s) => s.send(4, 0, 0, Buffer.alloc(5))],
  ["a window beyond 2^31", 3, (s) => s.window(0, 2 ** 31 - 1)],
  ["a stream's window beyond 2^31 by SETTINGS", 3, (s) => (s.window(1, 1), s.settings([4, 2 ** 31 - 1]))],
  ["a connection's window grown by nothing", 1, (s) => s.window(0, 0)],
  ["PING of seven bytes", 6, (s) => s.send(6, 0, 0, Buffer.alloc(7))],
  ["CONTINUATION of nothing", 1, (s) => s.send(9, 4, 1, empty)],
  ["a frame in the middle of a header block", 1, (s) => (s.send(1, 0, 1, empty), s.data(1, "x"))],
  [
    "CONTINUATION without end",
    11,
    (s) => (s.send(1, 0, 1, empty), repeat(100, () => s.send(9, 0, 1, empty))),
  ],
  ["a header block that makes no sense", 9, (s) => s.send(1, 4, 1, Buffer.of(0x80))],
  ["a frame above the size", 6, (s) => s.send(0, 0, 1, Buffer.alloc(16_385))],
  ["more padding than frame", 1, (s) => s.send(0, 8, 1, Buffer.of(9, 1))],
];

function repeat(times: number, run: () => void): void {
  for (let i = 0; i < times; i++) run();
}

for (const [name, code, send] of breaches) {
  test(`${name} ends the connection with GOAWAY ${code}`, async () => {
    using upstream = h2Peer({
      frame: (session, seen, index) => {
        if (index > 0 && isHead(seen)) session.head(seen.stream, OK_HEAD, true);
      },
    });
    const transport = http2({ port: upstream.port });
    const failed = [1, 2].map(() => failure(transport.request(outbound())));
    const session = await upstream.session(0);
    await session.frame(({ stream }) => stream === 3);
    send(session);
    for (const error of await Promise.all(failed)) expect(error.reason).toBe("protocol");
    const goaway = await session.frame(({ type }) => type === GOAWAY);
    expect(goaway.payload.readUInt32BE(4)).toBe(code);
    await session.raw.over;
    expect((await transport.request(outbound())).status).toBe(200);
    transport.close();
  });
}

test("a peer that sends PING without reading the answers is cut off", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const failed = failure(transport.request(outbound()));
  const session = await upstream.session(0);
  await session.frame(isHead);
  session.raw.pause();
  const ping = Buffer.from("00000806000000000000000000000000000000".slice(0, 34), "hex");
  const flood = Buffer.concat(Array.from({ length: 10_000 }, () => ping));
  const feeding = (async () => {
    while (transport.connections.open > 0) {
      if (session.raw.unsent < flood.byteLength) session.raw.write(flood);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  expect((await failed).reason).toBe("protocol");
  await feeding;
});

test("an answer to a stream that was given up is read past", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const given = outbound();
  const failed = failure(transport.request(given));
  const session = await upstream.session(0);
  await session.frame(isHead);
  given.give(new Error("gone"));
  await failed;
  session.head(1, [...OK_HEAD, ["x-indexed", "yes"]]);
  session.data(1, "for nobody", true);
  const next = transport.request(outbound());
  await session.frame(({ type, stream }) => type === HEADERS && stream === 3);
  // The first answer's head is in the compression table all the same.
  session.head(3, [...OK_HEAD, ["x-indexed", "yes"]], true);
  expect((await next).headers.get("x-indexed")).toBe("yes");
  await until(() => transport.connections.idle === 1);
  transport.close();
});
