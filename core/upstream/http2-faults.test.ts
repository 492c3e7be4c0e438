import { expect, test } from "bun:test";
import { SluiceError } from "sluice/plugin";
import { createFakeClock } from "sluice/testing";
import { settled } from "../http1/test-server.ts";
import {
  CANCEL,
  DATA,
  END_STREAM,
  GOAWAY,
  h2Peer,
  type H2PeerConnection,
  HEADERS,
  OK_HEAD,
  RST_STREAM,
  type SeenFrame,
} from "./test-h2-peer.ts";
import { failure, http2, ManualBody, outbound, pieceOf, textOf, until } from "./test-kit.ts";

/* Streams and connections that end otherwise than by a whole answer, over HTTP/2. */

const isHead = ({ type }: SeenFrame) => type === HEADERS;
const answerOk = (session: H2PeerConnection, stream: number) => session.head(stream, OK_HEAD, true);

for (const [name, code] of [
  ["INTERNAL_ERROR", 2],
  ["CANCEL", 8],
  ["NO_ERROR", 0],
] as const) {
  test(`a reset with ${name} in the middle of an answer fails its body, never ends it`, async () => {
    using upstream = h2Peer({
      frame: (session, { stream }) => {
        session.head(stream, OK_HEAD);
        session.data(stream, "part");
      },
    });
    const transport = http2({ port: upstream.port });
    const answer = await transport.request(outbound());
    expect(await pieceOf(answer)).toBe("part");
    upstream.sessions[0]?.resetStream(1, code);
    const error = await failure(Promise.resolve(answer.body?.read()));
    expect([error.code, error.reason]).toEqual(["upstream_failed", "reset"]);
    await until(() => transport.connections.idle === 1);
    transport.close();
  });

  test(`a reset with ${name} before the answer is a reset, and is not tried again`, async () => {
    using upstream = h2Peer({ frame: (session, { stream }) => session.resetStream(stream, code) });
    const transport = http2({ port: upstream.port });
    expect((await failure(transport.request(outbound()))).reason).toBe("reset");
    expect(upstream.sessions).toHaveLength(1);
    transport.close();
  });
}

test("a connection that goes away fails what runs on it, and the next request gets another", async () => {
  using upstream = h2Peer({
    frame: (session, seen, index) => {
      if (!isHead(seen)) return;
      if (index > 0) answerOk(session, seen.stream);
      else if (seen.stream === 1) {
        session.head(1, OK_HEAD);
        session.data(1, "part");
      } else session.raw.reset();
    },
  });
  const transport = http2({ port: upstream.port });
  const begun = await transport.request(outbound());
  expect(await pieceOf(begun)).toBe("part");
  const waiting = failure(transport.request(outbound()));
  expect((await waiting).reason).toBe("reset");
  expect((await failure(textOf(begun))).reason).toBe("reset");
  expect((await transport.request(outbound())).status).toBe(200);
  transport.close();
});

test("FIN in the middle of an answer fails its body", async () => {
  using upstream = h2Peer({
    frame: (session, { stream }) => {
      session.head(stream, OK_HEAD);
      session.data(stream, "part");
      session.raw.end();
    },
  });
  const answer = await http2({ port: upstream.port }).request(outbound());
  expect((await failure(textOf(answer))).reason).toBe("reset");
});

for (const [name, announced] of [
  ["less", "9"],
  ["more", "2"],
] as const) {
  test(`${name} content than announced is a protocol failure`, async () => {
    using upstream = h2Peer({
      frame: (session, { stream, type }) => {
        if (type !== HEADERS) return;
        session.head(stream, [...OK_HEAD, ["content-length", announced]]);
        session.data(stream, "part", true);
      },
    });
    const transport = http2({ port: upstream.port });
    const answer = await transport.request(outbound());
    expect((await failure(textOf(answer))).reason).toBe("protocol");
    transport.close();
  });
}

// How many streams on how many connections.

test("a second connection is opened when the peer's stream limit is reached, and requests above all wait", async () => {
  using upstream = h2Peer({ maxStreams: 2 });
  const transport = http2({ port: upstream.port, pool: { maxConnections: 2, maxPending: 1 } });
  const running = Array.from({ length: 5 }, () => transport.request(outbound()));
  const [one, two] = [await upstream.session(0), await upstream.session(1)];
  await one.frame(({ stream }) => stream === 3);
  await two.frame(({ stream }) => stream === 3);
  expect((await failure(transport.request(outbound()))).reason).toBe("overflow");
  answerOk(one, 1);
  await one.frame(({ stream }) => stream === 5);
  for (const [session, stream] of [
    [one, 3],
    [one, 5],
    [two, 1],
    [two, 3],
  ] as const) {
    answerOk(session, stream);
  }
  expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  await until(() => transport.connections.idle === 2);
  transport.close();
});

test("a peer that lowers its stream limit gets no stream beyond it, and more once it raises it again", async () => {
  using upstream = h2Peer({ maxStreams: 2 });
  const transport = http2({ port: upstream.port, pool: { maxConnections: 2 } });
  const first = transport.request(outbound());
  const one = await upstream.session(0);
  await one.frame(isHead);
  const agreed = async (limit: number) => {
    const before = one.frames.length;
    one.settings([3, limit]);
    await until(() => one.frames.slice(before).some(({ type, flags }) => type === 4 && flags === 1));
  };
  await agreed(1);
  const second = transport.request(outbound());
  const two = await upstream.session(1);
  await two.frame(isHead);
  expect(one.of(3)).toEqual([]);
  // Nothing at all, for the time being.
  await agreed(0);
  answerOk(one, 1);
  expect((await first).status).toBe(200);
  const third = transport.request(outbound());
  await two.frame(({ type, stream }) => type === HEADERS && stream === 3);
  const fourth = transport.request(outbound());
  await agreed(1);
  await one.frame(({ type, stream }) => type === HEADERS && stream === 3);
  answerOk(one, 3);
  answerOk(two, 1);
  answerOk(two, 3);
  const answers = await Promise.all([second, third, fourth]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  await until(() => transport.connections.idle === 2);
  transport.close();
});

test("a connection whose peer takes no streams any more grows old like others", async () => {
  const clock = createFakeClock();
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port, clock, pool: { idleTimeout: 10_000 } });
  const pending = transport.request(outbound());
  const session = await upstream.session(0);
  await session.frame(isHead);
  session.settings([3, 0]);
  answerOk(session, 1);
  await pending;
  await until(() => transport.connections.idle === 1);
  await clock.advance(11_000);
  await session.raw.over;
  expect(transport.connections.open).toBe(0);
  transport.close();
});

test("a connection that is old takes no new request and ends with GOAWAY behind those under way", async () => {
  const clock = createFakeClock();
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port, clock, pool: { maxAge: 10_000 } });
  const pending = transport.request(outbound());
  const old = await upstream.session(0);
  await old.frame(isHead);
  old.head(1, OK_HEAD);
  const answer = await pending;
  await clock.advance(10_100);
  const next = transport.request(outbound());
  const fresh = await upstream.session(1);
  await fresh.frame(isHead);
  answerOk(fresh, 1);
  expect((await next).status).toBe(200);
  old.data(1, "whole", true);
  expect(await textOf(answer)).toBe("whole");
  expect((await old.frame(({ type }) => type === GOAWAY)).stream).toBe(0);
  transport.close();
});

test("an unused connection is closed after the idle timeout, with GOAWAY", async () => {
  const clock = createFakeClock();
  using upstream = h2Peer({ frame: (session, { stream }) => answerOk(session, stream) });
  const transport = http2({ port: upstream.port, clock, pool: { idleTimeout: 5_000 } });
  await transport.request(outbound());
  await until(() => transport.connections.idle === 1);
  await clock.advance(5_100);
  expect(transport.connections.open).toBe(0);
  await upstream.sessions[0]?.raw.over;
  await clock.advance(200);
  expect(clock.pending).toBe(0);
});

// Giving up.

test("an upload that is given up ends in RST_STREAM(CANCEL), never in END_STREAM", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const body = new ManualBody();
  const request = outbound({ method: "PUT", body });
  const failed = failure(transport.request(request));
  body.push("half a file");
  const session = await upstream.session(0);
  await session.frame(({ type }) => type === DATA);
  request.give(new SluiceError("client_closed", "the client left"));
  expect((await failed).code).toBe("client_closed");
  const reset = await session.frame(({ type }) => type === RST_STREAM);
  expect(reset.payload.readUInt32BE()).toBe(CANCEL);
  expect(session.of(1).some(({ type, flags }) => type <= HEADERS && flags & END_STREAM)).toBe(false);
  transport.close();
});

test("a body that breaks off ends in RST_STREAM, never in END_STREAM, and fails with its own error", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const body = new ManualBody();
  const failed = failure(transport.request(outbound({ method: "PUT", body })));
  body.push("half a file");
  const session = await upstream.session(0);
  await session.frame(({ type }) => type === DATA);
  body.fail(new SluiceError("request_timeout", "too slow"));
  expect((await failed).code).toBe("request_timeout");
  await session.frame(({ type }) => type === RST_STREAM);
  expect(session.of(1).some(({ flags, type }) => type <= HEADERS && flags & END_STREAM)).toBe(false);
  transport.close();
});

test("a reader that leaves, and a request given up in the middle, reset their streams and no others", async () => {
  using upstream = h2Peer({
    frame: (session, seen) => {
      if (!isHead(seen)) return;
      session.head(seen.stream, OK_HEAD);
      session.data(seen.stream, "part");
    },
  });
  const transport = http2({ port: upstream.port });
  const requests = [outbound(), outbound(), outbound()];
  const answers = await Promise.all(requests.map((request) => transport.request(request)));
  const session = upstream.sessions[0]!;
  answers[0]?.body?.cancel();
  await session.frame(({ type, stream }) => type === RST_STREAM && stream === 1);
  expect(await pieceOf(answers[1])).toBe("part");
  requests[1]?.give(new SluiceError("client_closed", "the client left"));
  expect((await failure(Promise.resolve(answers[1]?.body?.read()))).code).toBe("client_closed");
  await session.frame(({ type, stream }) => type === RST_STREAM && stream === 3);
  session.data(5, "ial", true);
  expect(await textOf(answers[2]!)).toBe("partial");
  transport.close();
});

test("an answer that does not wait for the request's end cancels the rest of it", async () => {
  using upstream = h2Peer({
    frame: (session, { stream, type }) => {
      if (type !== DATA) return;
      session.head(stream, [[":status", "413"]]);
      session.data(stream, "too much", true);
    },
  });
  const transport = http2({ port: upstream.port });
  const body = new ManualBody();
  body.push("first piece");
  const answer = await transport.request(outbound({ method: "POST", body }));
  expect(answer.status).toBe(413);
  expect(await textOf(answer)).toBe("too much");
  await upstream.sessions[0]?.frame(({ type }) => type === RST_STREAM);
  expect(body.cancelled).toBe(true);
  await until(() => transport.connections.idle === 1);
  transport.close();
});

// Flow.

test("an upload is held back by the peer's window", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  let handed = 0;
  const piece = Buffer.alloc(16_384);
  const body = { length: undefined, trailers: undefined, read: () => (handed++, piece), cancel() {} };
  const request = outbound({ method: "PUT", body });
  const failed = failure(transport.request(request));
  await (await upstream.session(0)).frame(({ type }) => type === DATA);
  // The default window of 65,535 bytes, and what the stream itself holds.
  expect(await settled(() => handed)).toBeLessThan(16);
  request.give(new Error("enough"));
  await failed;
  transport.close();
});

test("an answer that nobody reads is not fetched: the windows stay closed", async () => {
  using upstream = h2Peer({
    frame: (session, seen) => {
      if (!isHead(seen)) return;
      session.head(seen.stream, OK_HEAD);
      if (seen.stream === 3) session.data(3, "quick", true);
    },
  });
  const transport = http2({ port: upstream.port });
  const request = outbound();
  const pending = transport.request(request);
  const session = await upstream.session(0);
  await session.frame(isHead);
  // As much as the stream's window of 256 KiB allows.
  for (let i = 0; i < 16; i++) session.data(1, "z".repeat(16_384));
  const answer = await pending;
  await settled(() => session.frames.length);
  expect(session.frames.some(({ type, stream }) => type === 8 && stream === 1)).toBe(false);
  // The others are not held up.
  expect(await textOf(await transport.request(outbound()))).toBe("quick");
  let total = 0;
  while (total < 16 * 16_384) total += (await answer.body?.read())?.byteLength ?? 0;
  await session.frame(({ type, stream }) => type === 8 && stream === 1);
  request.give(new Error("enough"));
  transport.close();
});

// Time.

test("no head in time is timeout.first_byte; a connection that answers no PING either is closed", async () => {
  const clock = createFakeClock();
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port, clock });
  const failed = failure(transport.request(outbound({ timeouts: { firstByte: 2_000 } })));
  await (await upstream.session(0)).frame(isHead);
  await clock.advance(2_100);
  const error = await failed;
  expect([error.code, error.reason]).toEqual(["upstream_timeout", "timeout.first_byte"]);
  await upstream.sessions[0]?.frame(({ type }) => type === RST_STREAM);
  await until(() => transport.connections.idle === 1);
  await clock.advance(5_100);
  expect(transport.connections.open).toBe(0);
  await upstream.sessions[0]?.raw.over;
});

test("silence in the middle of an answer is timeout.idle, each piece begins it anew", async () => {
  const clock = createFakeClock();
  using upstream = h2Peer({
    frame: (session, seen) => {
      if (!isHead(seen)) return;
      session.head(seen.stream, OK_HEAD);
      session.data(seen.stream, "a");
    },
  });
  const transport = http2({ port: upstream.port, clock });
  const answer = await transport.request(outbound({ timeouts: { idle: 1_000 } }));
  expect(await pieceOf(answer)).toBe("a");
  await clock.advance(900);
  upstream.sessions[0]?.data(1, "b");
  expect(await pieceOf(answer)).toBe("b");
  await clock.advance(900);
  const failed = failure(Promise.resolve(answer.body?.read()));
  await clock.advance(200);
  expect((await failed).reason).toBe("timeout.idle");
  transport.close();
});
