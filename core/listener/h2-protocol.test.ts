import { expect, test } from "bun:test";
import { HeaderList, type SluiceError } from "sluice/plugin";
import { eventually, settled } from "../http1/test-server.ts";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  GOAWAY,
  HEADER_TABLE_SIZE,
  HEADERS,
  NO_ERROR,
  PING,
  PROTOCOL_ERROR,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import type { Inbound } from "./inbound.ts";
import {
  awaitFrame,
  block,
  EMPTY,
  type Fields,
  framesOf,
  get,
  goawayCode,
  headers,
  hello,
  ofStream,
  send,
  setting,
} from "./test-h2-client.ts";
import { tellFacts, testListener } from "./test-listener.ts";

/* HTTP/2 frame by frame: what no well-behaved client sends. */

const PROTOCOL_RESET = Buffer.of(0, 0, 0, PROTOCOL_ERROR);

function without(name: string): Fields {
  return get().filter(([field]) => field !== name);
}

test.each<readonly [string, Fields]>([
  ["an upper-case name", get([["X-Up", "1"]])],
  ["Connection", get([["connection", "close"]])],
  ["Transfer-Encoding", get([["transfer-encoding", "chunked"]])],
  ["Upgrade", get([["upgrade", "h2c"]])],
  ["TE other than trailers", get([["te", "gzip"]])],
  ["no :method", without(":method")],
  ["no :path", without(":path")],
  ["no :scheme", without(":scheme")],
  ["no :authority and no host", without(":authority")],
  ["a path in :authority", [...without(":authority"), [":authority", "a.test/x"]]],
  ["userinfo in :authority", [...without(":authority"), [":authority", "u@a.test"]]],
  ["an empty :path", get([], "")],
  ["two :path", [...get(), [":path", "/y"]]],
  ["a pseudo-header behind a field", [["x-a", "1"], ...get()]],
  ["an unknown pseudo-header", [...get(), [":foo", "1"]]],
  [":status", [...get(), [":status", "200"]]],
  ["CR in a value", get([["x-a", "a\rb"]])],
  ["LF in a value", get([["x-a", "a\nb"]])],
  ["NUL in a value", get([["x-a", "a\0b"]])],
  ["a space in a name", get([["x a", "1"]])],
  ["a space in :path", get([], "/a b")],
  ["a request line in :path", get([], "/ HTTP/1.1\r\nx: y")],
  ["a space in :method", [[":method", "G ET"], ...without(":method")]],
  ["extended CONNECT", [[":method", "CONNECT"], [":protocol", "websocket"], ...without(":method")]],
  ["content-length with letters", get([["content-length", "1x"]])],
  ["content-length and no body", get([["content-length", "5"]])],
])("%s resets the stream", async (_name, fields) => {
  let handled = 0;
  using served = await testListener(() => handled++);
  const client = await send(served, headers(1, fields));
  const reset = await awaitFrame(client, ({ type }) => type === RST_STREAM);
  expect(reset.payload).toEqual(PROTOCOL_RESET);
  expect(handled).toBe(0);
  client.reset();
});

const BIG = "y".repeat(1000);

test.each<readonly [string, Fields, code: string]>([
  ["white space around a value", get([["x-a", " v"]]), "bad_request"],
  ["a Host that is not :authority", get([["host", "b.test"]]), "bad_request"],
  ["another scheme", [...without(":scheme"), [":scheme", "ftp"]], "bad_request"],
  ["a fragment in :path", get([], "/a#b"), "bad_request"],
  [
    "CONNECT",
    [
      [":method", "CONNECT"],
      [":authority", "a.test:443"],
    ],
    "not_implemented",
  ],
  ["an unknown expectation", get([["expect", "miracles"]]), "expectation_failed"],
  ["a long target", get([], `/${"x".repeat(100)}`), "uri_too_long"],
  [
    "too many fields",
    get(Array.from({ length: 11 }, (_, i) => [`x-${i}`, "1"] as const)),
    "headers_too_large",
  ],
  [
    "too many bytes of fields",
    get([
      ["x-a", BIG],
      ["x-b", BIG],
    ]),
    "headers_too_large",
  ],
])("%s is refused with an answer", async (_name, fields, code) => {
  let handled = 0;
  const limits = { url: 100, headerCount: 10, headerBytes: 1500 };
  using served = await testListener(() => handled++, { limits });
  const client = await send(served, headers(1, fields));
  await awaitFrame(client, ({ type, flags }) => type === DATA && (flags & END_STREAM) !== 0);
  expect(
    framesOf(client)
      .find(({ type }) => type === DATA)!
      .payload.toString(),
  ).toBe(code);
  expect(served.rejections).toMatchObject([{ code, httpVersion: "2" }]);
  expect(handled).toBe(0);
  // The connection lives on.
  await client.send(headers(3, get(), false));
  await eventually(() => handled === 1);
  client.reset();
});

test("a refused gRPC call gets a gRPC status", async () => {
  using served = await testListener(tellFacts, { protocols: ["http1", "http2"] });
  const fields = get([["content-type", "application/grpc+proto"]]);
  const client = await send(served, headers(1, fields));
  await awaitFrame(client, ({ type }) => type === HEADERS);
  expect(ofStream(client)).toEqual(["HEADERS end"]);
  expect(served.rejections).toMatchObject([{ code: "not_implemented", reason: "protocol", rawTarget: "/x" }]);
  client.reset();
});

test("a listener of gRPC alone refuses everything else, and serves gRPC", async () => {
  using served = await testListener(tellFacts, { protocols: ["grpc"] });
  const call = headers(3, get([["content-type", "application/grpc"]]));
  const web = headers(5, get([["content-type", "application/grpc-web"]]));
  const client = await send(served, headers(1, get()), call, web);
  await awaitFrame(client, ({ type, stream }) => type === DATA && stream === 5);
  const codes = served.rejections.map((rejection) => rejection.code);
  expect(codes).toEqual(["unsupported_media_type", "unsupported_media_type"]);
  expect(ofStream(client, 3)[0]).toBe("HEADERS");
  client.reset();
});

test("a body unlike its content-length fails, and the stream is reset", async () => {
  for (const data of ["abc", "abcdefgh"]) {
    const begun = Promise.withResolvers<void>();
    const failed = Promise.withResolvers<unknown>();
    const gone = Promise.withResolvers<SluiceError>();
    using served = await testListener(async (inbound: Inbound) => {
      inbound.onGone = gone.resolve;
      begun.resolve();
      try {
        while ((await inbound.body!.read()) !== null);
        failed.reject(new Error("the body was taken for whole"));
      } catch (error) {
        failed.resolve(error);
      }
    });
    const fields = get([["content-length", "5"]]);
    const client = await send(served, headers(1, fields, true));
    await begun.promise;
    await client.send(frame(DATA, END_STREAM, 1, Buffer.from(data)));
    expect((await awaitFrame(client, ({ type }) => type === RST_STREAM)).payload).toEqual(PROTOCOL_RESET);
    expect(await failed.promise).toMatchObject({ code: "bad_request" });
    expect(await gone.promise).toMatchObject({ code: "bad_request", reason: "http2.stream" });
    client.reset();
  }
});

test("a request that is whole at once and unlike its content-length is never handed on", async () => {
  let handled = 0;
  using served = await testListener(() => handled++);
  for (const data of ["abc", "abcdefgh"]) {
    const whole = frame(DATA, END_STREAM, 1, Buffer.from(data));
    const client = await send(served, headers(1, get([["content-length", "5"]]), true), whole);
    expect((await awaitFrame(client, ({ type }) => type === RST_STREAM)).payload).toEqual(PROTOCOL_RESET);
    client.reset();
  }
  expect(handled).toBe(0);
  const rejection = { code: "bad_request", reason: "http2.stream", method: "GET", rawTarget: "/x" };
  expect(served.rejections).toMatchObject([rejection, rejection]);
});

test("trailers that are too large fail the body", async () => {
  const failed = Promise.withResolvers<unknown>();
  using served = await testListener(
    async (inbound: Inbound) => {
      while ((await Promise.resolve(inbound.body!.read()).catch(failed.resolve)) instanceof Uint8Array);
    },
    { limits: { headerBytes: 500 } },
  );
  const trailers = headers(1, [["x-a", BIG]]);
  const client = await send(served, headers(1, get(), true), frame(DATA, 0, 1, Buffer.from("abc")), trailers);
  expect(await failed.promise).toMatchObject({ code: "bad_request", reason: "malformed.trailers" });
  client.reset();
});

test("an answer that fails ends in RST_STREAM and never in END_STREAM", async () => {
  using served = await testListener((inbound) => {
    let left = 2;
    const read = async (): Promise<Uint8Array> => {
      await Bun.sleep(0);
      if (left-- > 0) return Buffer.from("part");
      throw new Error("it broke off");
    };
    void inbound.respond(200, new HeaderList(), {
      length: undefined,
      trailers: undefined,
      read,
      cancel() {},
    });
  });
  const client = await send(served, headers(1, get()));
  await awaitFrame(client, ({ type }) => type === RST_STREAM);
  await client.send(frame(PING, 0, 0, Buffer.alloc(8)));
  await awaitFrame(client, ({ type }) => type === PING);
  expect(ofStream(client)).toEqual(["HEADERS", "DATA", "DATA", "RST_STREAM"]);
  client.reset();
});

test("a short answer is one HEADERS and one DATA", async () => {
  using served = await testListener(tellFacts);
  const client = await send(served, headers(1, get()));
  await awaitFrame(client, ({ type }) => type === DATA);
  expect(ofStream(client)).toEqual(["HEADERS", "DATA end"]);
  client.reset();
});

test("an answer that was given before is a byte a field, unless the client keeps no table", async () => {
  const fields = ["content-type", "application/grpc", "x-a", "a value that comes again", "x-b", "another"];
  using served = await testListener((inbound) => inbound.respond(200, new HeaderList(fields), null));
  const sizes = async (...first: Uint8Array[]): Promise<number[]> => {
    const client = await send(served, ...first, headers(1, get()));
    await awaitFrame(client, ({ type }) => type === HEADERS);
    await client.send(headers(3, get()));
    await awaitFrame(client, ({ type, stream }) => type === HEADERS && stream === 3);
    const blocks = framesOf(client).filter(({ type }) => type === HEADERS);
    client.reset();
    return blocks.map(({ payload }) => payload.byteLength);
  };
  // Status, three fields and the date.
  expect((await sizes())[1]).toBe(5);
  const [first, second] = await sizes(setting(HEADER_TABLE_SIZE, 0));
  // It is told once that the table is gone (RFC 7541 §4.2).
  expect(first! - second!).toBe(1);
});

const CANCEL = Buffer.of(0, 0, 0, 8);

test("rapid reset ends the connection before a request more than the limit was begun", async () => {
  let handled = 0;
  using served = await testListener(() => handled++, { limits: { resets: 50 } });
  const flood = Array.from({ length: 3000 }, (_, i) => {
    return Buffer.concat([headers(1 + 2 * i, get()), frame(RST_STREAM, 0, 1 + 2 * i, CANCEL)]);
  });
  const client = await send(served, ...flood);
  expect(await goawayCode(client)).toBe(ENHANCE_YOUR_CALM);
  client.finish();
  await client.ended();
  expect(handled).toBeLessThanOrEqual(51);
  expect(served.rejections).toMatchObject([{ code: "rate_limited", reason: "http2.reset_flood" }]);
  // The process lives, and so do others.
  using other = await send(served, headers(1, get())).then((peer) => ({
    [Symbol.dispose]: () => peer.reset(),
  }));
  await eventually(() => handled > 0);
  void other;
});

test("resets that a client provokes count like its own", async () => {
  let handled = 0;
  using served = await testListener(() => handled++, { limits: { resets: 20 } });
  const client = await send(served);
  for (let i = 0; i < 60 && client.end === undefined; i++) {
    const stream = 1 + 2 * i;
    // RFC 9113 §6.9: an increment of 0 is a stream error.
    await client.send(
      Buffer.concat([headers(stream, get()), frame(WINDOW_UPDATE, 0, stream, Buffer.alloc(4))]),
    );
    await client.until(() =>
      framesOf(client).some(({ type, stream: on }) => type === GOAWAY || on === stream),
    );
    if (framesOf(client).some(({ type }) => type === GOAWAY)) break;
  }
  expect(await goawayCode(client)).toBe(ENHANCE_YOUR_CALM);
  expect(handled).toBeLessThan(25);
  client.reset();
});

test.each<readonly [string, Uint8Array[]]>([
  [
    "CONTINUATION",
    [frame(HEADERS, 0, 1, EMPTY), ...Array.from({ length: 1000 }, () => frame(CONTINUATION, 0, 1, EMPTY))],
  ],
  ["PING", Array.from({ length: 3000 }, () => frame(PING, 0, 0, Buffer.alloc(8)))],
  ["SETTINGS", Array.from({ length: 3000 }, () => frame(SETTINGS, 0, 0, EMPTY))],
  ["empty DATA", [headers(1, get(), true), ...Array.from({ length: 3000 }, () => frame(DATA, 0, 1, EMPTY))]],
])("a flood of %s ends the connection", async (_name, frames) => {
  using served = await testListener(() => {});
  const client = await send(served, ...frames);
  expect(await goawayCode(client)).toBe(ENHANCE_YOUR_CALM);
  client.finish();
  await client.ended();
  await eventually(() => served.listener.connections === 0);
});

test("streams above the limit are refused so that the client may try again", async () => {
  let handled = 0;
  using served = await testListener(() => handled++, { limits: { streams: 2 } });
  const client = await send(served, headers(1, get()), headers(3, get()), headers(5, get()));
  const refused = await awaitFrame(client, ({ type }) => type === RST_STREAM);
  expect(refused).toMatchObject({ stream: 5, payload: Buffer.of(0, 0, 0, 7) });
  expect(handled).toBe(2);
  client.reset();
});

test("a header block that does not end, a client that says nothing, and an idle one are let go", async () => {
  const limits = { headerTimeout: 1000, idleTimeout: 5000 };
  using served = await testListener(tellFacts, { limits });
  const unfinished = await send(served, frame(HEADERS, 0, 1, block(get())));
  await awaitFrame(unfinished, ({ type }) => type === SETTINGS);
  const mute = await served.connect(hello().subarray(0, 24).toString("latin1"));
  await mute.until(() => mute.received.length > 0);
  const idle = await send(served, headers(1, get()));
  await awaitFrame(idle, ({ type }) => type === DATA);
  await idle.send(frame(SETTINGS, ACK, 0, EMPTY));
  await served.clock.advance(2000);
  expect(await goawayCode(unfinished)).toBe(ENHANCE_YOUR_CALM);
  expect(await goawayCode(mute)).toBe(ENHANCE_YOUR_CALM);
  expect(served.rejections.map((rejection) => rejection.reason)).toEqual(["timeout.head", "timeout.head"]);
  expect(idle.end).toBeUndefined();
  await served.clock.advance(5000);
  expect(await goawayCode(idle)).toBe(NO_ERROR);
  await idle.ended();
  // Those that do not close their side are cut.
  await served.clock.advance(5000);
  await eventually(() => served.listener.connections === 0);
  expect(served.clock.pending).toBe(0);
});

test("a client with endless windows that reads nothing gets no more than the socket holds", async () => {
  const piece = Buffer.alloc(65_536, "x");
  let pulled = 0;
  const read = (): Uint8Array => {
    pulled += piece.byteLength;
    return piece;
  };
  using served = await testListener((inbound) => {
    void inbound.respond(200, new HeaderList(), {
      length: undefined,
      trailers: undefined,
      read,
      cancel() {},
    });
  });
  const client = await served.connect();
  client.pause();
  const endless = Buffer.of(0, 4, 0x7f, 0xff, 0xff, 0xff);
  const more = frame(WINDOW_UPDATE, 0, 0, Buffer.of(0x7f, 0xfe, 0, 0));
  const requests = Array.from({ length: 20 }, (_, i) => headers(1 + 2 * i, get()));
  await client.send(Buffer.concat([hello(frame(SETTINGS, 0, 0, endless), more), ...requests]));
  await eventually(() => pulled > 0);
  await settled(() => pulled);
  // 20 streams read ahead a little each; the rest is what kernels buffer.
  expect(pulled).toBeLessThan(30e6);
  const enough = pulled + 1e6;
  client.resume();
  await client.until((each) => each.received.length > enough);
  client.reset();
  await eventually(() => served.listener.connections === 0);
});
