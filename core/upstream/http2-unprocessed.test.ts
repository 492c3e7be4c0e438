import { expect, test } from "bun:test";
import { BodyQueue, BytesBody, HeaderList, SluiceError } from "sluice/plugin";
import {
  DATA,
  END_STREAM,
  h2Peer,
  type H2PeerConnection,
  HEADERS,
  OK_HEAD,
  type SeenFrame,
} from "./test-h2-peer.ts";
import { failure, http2, ManualBody, outbound, pieceOf, textOf, until } from "./test-kit.ts";

/* Requests that the upstream says it has not looked at may be sent again, whatever they are (RFC 9113 §6.8, §8.7). */

const REFUSED_STREAM = 7;
const LAST = 2 ** 31 - 1;
const isHead = ({ type }: SeenFrame) => type === HEADERS;
const answerOk = (session: H2PeerConnection, stream: number) => session.head(stream, OK_HEAD, true);
const ends = ({ type, flags }: SeenFrame) => type <= HEADERS && (flags & END_STREAM) !== 0;
/** Waits until all that was written before has been read. */
const pong = async (session: H2PeerConnection): Promise<void> => {
  const before = session.frames.length;
  session.send(6, 0, 0, Buffer.alloc(8));
  await until(() => session.frames.slice(before).some(({ type, flags }) => type === 6 && flags === 1));
};

for (const [name, most, refuse] of [
  [
    "REFUSED_STREAM",
    2,
    (session: H2PeerConnection, stream: number) => session.resetStream(stream, REFUSED_STREAM),
  ],
  ["a GOAWAY below it", 16, (session: H2PeerConnection) => session.goaway(0)],
] as const) {
  /** Refuses on the first connections, `times` of them, and answers on the next. */
  const refusing = (times = 1) =>
    h2Peer({
      frame: (session, seen, index) => {
        if (index >= times) {
          if (ends(seen)) answerOk(session, seen.stream);
        } else if (isHead(seen)) refuse(session, seen.stream);
      },
    });

  test(`a request refused by ${name} is sent on another connection, POST included`, async () => {
    using upstream = refusing();
    const transport = http2({ port: upstream.port });
    const request = outbound({ method: "POST", body: new BytesBody(Buffer.from("pay")) });
    expect((await transport.request(request)).status).toBe(200);
    expect(upstream.sessions).toHaveLength(2);
    expect(upstream.sessions[1]?.text(1)).toBe("pay");
    transport.close();
  });

  test(`a request refused by ${name} whose small body was begun is sent again from its first byte`, async () => {
    using upstream = h2Peer();
    const transport = http2({ port: upstream.port });
    const body = new ManualBody(16);
    const pending = transport.request(outbound({ method: "POST", body }));
    body.push("one,");
    const first = await upstream.session(0);
    await first.frame(() => first.text(1) === "one,");
    body.push("two,");
    await first.frame(() => first.text(1) === "one,two,");
    refuse(first, 1);
    const second = await upstream.session(1);
    await second.frame(() => second.text(1) === "one,two,");
    // The read that was under way is the second try's.
    body.push("three,");
    body.push("4.");
    body.end(new HeaderList(["x-sum", "7"]));
    await second.frame(ends);
    answerOk(second, 1);
    expect((await pending).status).toBe(200);
    expect(second.text(1)).toBe("one,two,three,4.");
    expect(second.of(1).map(({ type }) => type)).toEqual([HEADERS, DATA, DATA, DATA, HEADERS]);
    transport.close();
  });

  test(`a request refused by ${name} after its end is sent again, trailers included`, async () => {
    using upstream = h2Peer();
    const transport = http2({ port: upstream.port });
    const body = new ManualBody();
    const pending = transport.request(outbound({ method: "POST", body }));
    for (const piece of ["one,", "two,", "three"]) body.push(piece);
    body.end(new HeaderList(["x-sum", "7"]));
    const first = await upstream.session(0);
    await first.frame(ends);
    refuse(first, 1);
    const second = await upstream.session(1);
    await second.frame(ends);
    answerOk(second, 1);
    expect((await pending).status).toBe(200);
    expect(second.text(1)).toBe("one,two,three");
    expect(second.of(1).at(-1)?.type).toBe(HEADERS);
    transport.close();
  });

  test(`a body of which too much is gone is not sent in part after ${name}: it fails as not processed`, async () => {
    using upstream = h2Peer({ settings: [[4, LAST]] });
    const transport = http2({ port: upstream.port });
    const body = new ManualBody();
    const request = outbound({ method: "POST", body });
    const failed = failure(transport.request(request));
    const first = await upstream.session(0);
    first.window(0, 1_000_000);
    for (let i = 0; i < 5; i++) body.push("x".repeat(16_000));
    await first.frame(() => first.text(1).length === 80_000);
    expect(request.progress.sent).toBe(true);
    refuse(first, 1);
    expect((await failed).reason).toBe("reset");
    expect(request.progress.sent).toBe(false);
    expect(upstream.sessions).toHaveLength(1);
    transport.close();
  });

  test(`a large body that can be read again is, after ${name}`, async () => {
    using upstream = refusing();
    const transport = http2({ port: upstream.port });
    const bytes = Buffer.alloc(60_000, "abcdefg");
    let at = 0;
    const body = {
      length: 10 * bytes.byteLength,
      trailers: undefined,
      read: () => (at++ < 10 ? bytes : null),
      rewind: () => ((at = 0), true),
      cancel() {},
    };
    const pending = transport.request(outbound({ method: "PUT", body }));
    const second = await upstream.session(1);
    second.settings([4, LAST]);
    second.window(0, LAST - 65_535);
    expect((await pending).status).toBe(200);
    expect(second.text(1)).toBe(bytes.toString().repeat(10));
    transport.close();
  });

  test(`a body whose memory is freed behind it arrives whole after ${name}`, async () => {
    using upstream = h2Peer();
    const transport = http2({ port: upstream.port });
    const producer = { pause() {}, resume() {}, cancelled() {} };
    const body = new BodyQueue(producer);
    const pending = transport.request(outbound({ method: "POST", body }));
    const first = await upstream.session(0);
    await first.frame(isHead);
    for (const [i, letter] of ["a", "b", "c"].entries()) {
      body.push(new Uint8Array(20_000).fill(letter.charCodeAt(0)));
      await first.frame(() => first.text(1).length === 20_000 * (i + 1));
    }
    refuse(first, 1);
    const second = await upstream.session(1);
    body.end();
    await second.frame(ends);
    answerOk(second, 1);
    expect((await pending).status).toBe(200);
    expect(second.text(1)).toBe("a".repeat(20_000) + "b".repeat(20_000) + "c".repeat(20_000));
    transport.close();
  });

  test(`a client that leaves while its request waits to be sent again after ${name} is not sent for`, async () => {
    using upstream = h2Peer({ settings: [[3, 0]] });
    const transport = http2({ port: upstream.port });
    const request = outbound();
    const failed = failure(transport.request(request));
    const first = await upstream.session(0);
    first.settings([3, 1]);
    await first.frame(isHead);
    refuse(first, 1);
    // It takes no stream yet.
    const second = await upstream.session(1);
    request.give(new SluiceError("client_closed", "the client left"));
    expect((await failed).code).toBe("client_closed");
    second.settings([3, 1]);
    await pong(second);
    expect(second.frames.some(isHead)).toBe(false);
    transport.close();
  });

  test(`refused ${most} times by ${name} is tried once more, and then no more`, async () => {
    using often = refusing(most);
    const patient = http2({ port: often.port });
    expect((await patient.request(outbound({ method: "POST" }))).status).toBe(200);
    expect(often.sessions).toHaveLength(most + 1);
    patient.close();
    using always = refusing(Infinity);
    const transport = http2({ port: always.port });
    const request = outbound();
    // For a gRPC caller this code is UNAVAILABLE.
    const error = await failure(transport.request(request));
    expect([error.code, error.reason]).toEqual(["upstream_failed", "reset"]);
    expect(request.progress.sent).toBe(false);
    expect(always.sessions).toHaveLength(most + 1);
    transport.close();
  });
}

test("what was refused comes first on the next connection, and finds no queue too full", async () => {
  using upstream = h2Peer({ maxStreams: 2 });
  const transport = http2({ port: upstream.port, pool: { maxConnections: 1, maxPending: 1 } });
  const running = ["/a", "/b", "/c"].map((target) => transport.request(outbound({ target })));
  const first = await upstream.session(0);
  await first.frame(({ stream }) => stream === 3);
  first.goaway(0);
  const second = await upstream.session(1);
  await second.frame(({ stream }) => stream === 3);
  answerOk(second, 1);
  answerOk(second, 3);
  expect((await Promise.all(running.slice(0, 2))).map(({ status }) => status)).toEqual([200, 200]);
  await second.frame(({ stream }) => stream === 5);
  answerOk(second, 5);
  expect((await running[2]!).status).toBe(200);
  transport.close();
});

test("GOAWAY lets the streams below it finish; new requests go elsewhere", async () => {
  using upstream = h2Peer({
    frame: (session, seen, index) => {
      if (!isHead(seen)) return;
      session.head(seen.stream, OK_HEAD);
      session.data(seen.stream, "a");
      if (index === 0) session.goaway(seen.stream);
      else session.data(seen.stream, "b", true);
    },
  });
  const transport = http2({ port: upstream.port });
  const first = await transport.request(outbound());
  expect(await pieceOf(first)).toBe("a");
  expect(await textOf(await transport.request(outbound()))).toBe("ab");
  expect(upstream.sessions).toHaveLength(2);
  upstream.sessions[0]?.data(1, "z", true);
  expect(await textOf(first)).toBe("z");
  await upstream.sessions[0]?.raw.over;
  transport.close();
});

test("an answer that was begun is not waited for any more when its stream is refused", async () => {
  using upstream = h2Peer({
    frame: (session, seen) => {
      if (!isHead(seen)) return;
      session.head(seen.stream, OK_HEAD);
      session.data(seen.stream, "part");
    },
  });
  const transport = http2({ port: upstream.port });
  const answer = await transport.request(outbound());
  upstream.sessions[0]?.goaway(0);
  expect((await failure(textOf(answer))).reason).toBe("reset");
  expect(upstream.sessions).toHaveLength(1);
  transport.close();
});

test("a GOAWAY that refuses nothing, and then one that names the last stream: nothing is lost", async () => {
  using upstream = h2Peer();
  const transport = http2({ port: upstream.port });
  const early = [transport.request(outbound()), transport.request(outbound({ method: "POST" }))] as const;
  const first = await upstream.session(0);
  await first.frame(({ stream }) => stream === 3);
  first.goaway(LAST);
  await pong(first);
  const late = transport.request(outbound());
  const second = await upstream.session(1);
  await second.frame(isHead);
  // Stream 3 was under way when the server made up its mind.
  first.goaway(1);
  const third = await upstream.session(2);
  await third.frame(isHead);
  answerOk(first, 1);
  answerOk(second, 1);
  answerOk(third, 1);
  const answers = await Promise.all([...early, late]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(await first.raw.over).toBe("fin");
  transport.close();
});

test("a server that ends one connection in order, and says so twice, may keep the next one as long as it likes", async () => {
  using upstream = h2Peer({ frame: (session, seen) => void (ends(seen) && answerOk(session, seen.stream)) });
  const transport = http2({ port: upstream.port });
  for (let i = 0; i < 8; i++) await transport.request(outbound());
  const first = await upstream.session(0);
  first.goaway(15);
  first.goaway(15);
  await until(() => transport.connections.open === 0);
  for (let i = 0; i < 20; i++) expect((await transport.request(outbound())).status).toBe(200);
  expect(upstream.sessions).toHaveLength(2);
  transport.close();
});
