import { expect, test } from "bun:test";
import { BytesBody, collect, HeaderList, type SluiceError } from "sluice/plugin";
import { eventually } from "../http1/test-server.ts";
import {
  CANCEL,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  GOAWAY,
  HEADERS,
  NO_ERROR,
  PRIORITY,
  PROTOCOL_ERROR,
  RST_STREAM,
  STREAM_CLOSED,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import type { Inbound } from "./inbound.ts";
import {
  awaitFrame,
  block,
  contentOf,
  data,
  type Fields,
  framesOf,
  get,
  goawayCode,
  headers,
  ofStream,
  pong,
  resetCode,
  send,
  windowUpdate,
} from "./test-h2-client.ts";
import { type TestListener, testListener } from "./test-listener.ts";

/* What may come on a stream in which state (RFC 9113 §5.1). */

interface Kept extends TestListener {
  readonly requests: Inbound[];
  readonly gone: SluiceError[];
}

/** Requests wait for the test to answer them. */
async function keeping(): Promise<Kept> {
  const requests: Inbound[] = [];
  const gone: SluiceError[] = [];
  const served = await testListener((inbound) => {
    inbound.onGone = (error) => gone.push(error);
    requests.push(inbound);
  });
  return Object.assign(served, { requests, gone });
}

/** Answers with the body that came, and its trailers. */
async function echo(inbound: Inbound): Promise<void> {
  const body = await collect(inbound.body, 1e6);
  void inbound.respond(200, new HeaderList(), new BytesBody(body!, inbound.body?.trailers));
}

test("DATA behind the end of a request resets its stream, and the others go on", async () => {
  using served = await keeping();
  const client = await send(served, headers(1, get()), headers(3, get()));
  await eventually(() => served.requests.length === 2);
  await client.send(data(1, "more"));
  expect(await resetCode(client)).toBe(STREAM_CLOSED);
  expect(served.gone).toMatchObject([{ code: "bad_request", reason: "http2.stream" }]);
  void served.requests[1]!.respond(204, new HeaderList(), null);
  await awaitFrame(client, ({ type, stream }) => type === HEADERS && stream === 3);
  client.reset();
});

test("a header block behind the end of a request that is being answered ends the connection", async () => {
  using served = await keeping();
  const client = await send(served, headers(1, get()));
  await eventually(() => served.requests.length === 1);
  await client.send(headers(1, [["x-late", "1"]]));
  expect(await goawayCode(client)).toBe(STREAM_CLOSED);
  expect(served.gone).toMatchObject([{ code: "bad_request" }]);
  client.reset();
});

test("DATA on a stream that is over is refused, and costs what a reset costs", async () => {
  using served = await testListener((inbound) => inbound.respond(204, new HeaderList(), null), {
    limits: { resets: 20 },
  });
  const client = await send(served, headers(1, get()));
  await awaitFrame(client, ({ type }) => type === HEADERS);
  await client.send(data(1, "more"));
  expect(await resetCode(client)).toBe(STREAM_CLOSED);
  await pong(client);
  await client.send(Buffer.concat(Array.from({ length: 30 }, () => data(1, "more"))));
  expect(await goawayCode(client)).toBe(ENHANCE_YOUR_CALM);
  client.reset();
});

test("what was under way on a stream that we have reset is no breach, and its fields stay in the table", async () => {
  const seen: string[][] = [];
  using served = await testListener((inbound) => {
    seen.push(inbound.headers.flat);
    void inbound.respond(403, new HeaderList(), null);
  });
  const client = await send(served, headers(1, get(), true));
  expect(await resetCode(client)).toBe(NO_ERROR);
  const remembered = block([["x-remembered", "yes"]]);
  remembered[0] = 0x40;
  const late = [
    data(1, "a part"),
    windowUpdate(1, 10),
    frame(PRIORITY, 0, 1, Buffer.alloc(5)),
    frame(HEADERS, END_HEADERS | END_STREAM, 1, remembered),
  ];
  await client.send(Buffer.concat(late));
  await pong(client);
  await client.send(
    frame(HEADERS, END_HEADERS | END_STREAM, 3, Buffer.concat([block(get()), Buffer.of(0x80 | 62)])),
  );
  await awaitFrame(client, ({ type, stream }) => type === HEADERS && stream === 3);
  expect(seen[1]).toEqual(["x-remembered", "yes"]);
  expect(framesOf(client).some(({ type }) => type === GOAWAY)).toBe(false);
  // It has ended now, for the client too.
  await client.send(data(1, "again"));
  await client.until(() => framesOf(client).filter(({ type }) => type === RST_STREAM).length === 2);
  client.reset();
});

test("a reset by the client ends its request, whatever comes on the stream then", async () => {
  using served = await keeping();
  const client = await send(served, headers(1, get(), true));
  await eventually(() => served.requests.length === 1);
  await client.send(frame(RST_STREAM, 0, 1, Buffer.of(0, 0, 0, PROTOCOL_ERROR)));
  await eventually(() => served.gone.length === 1);
  // Whatever its code, it is the client that leaves.
  expect(served.gone).toMatchObject([{ code: "client_closed", reason: "client.gone" }]);
  await client.send(Buffer.concat([windowUpdate(1, 1), frame(RST_STREAM, 0, 1, Buffer.of(0, 0, 0, CANCEL))]));
  await pong(client);
  expect(ofStream(client)).toEqual([]);
  client.reset();
});

test("a request that is taken back in the same breath is not begun", async () => {
  using served = await keeping();
  const cancelled = [headers(1, get()), frame(RST_STREAM, 0, 1, Buffer.of(0, 0, 0, CANCEL))];
  const client = await send(served, ...cancelled, headers(3, get()));
  await eventually(() => served.requests.length === 1);
  await pong(client);
  expect(served.requests.length).toBe(1);
  expect(served.gone).toEqual([]);
  client.reset();
});

test.each<readonly [string, Fields, end: boolean]>([
  ["a pseudo-header", [[":path", "/x"]], true],
  ["an upper-case name", [["X-Up", "1"]], true],
  ["a line break in a value", [["x-a", "a\nb"]], true],
  ["no end of the stream", [["x-a", "1"]], false],
  [
    "a field of HTTP/1.1 connections",
    [
      ["x-t", "1"],
      ["connection", "x-t"],
    ],
    true,
  ],
])("trailers with %s reset the stream", async (_name, fields, end) => {
  using served = await keeping();
  const client = await send(served, headers(1, get(), true), data(1, "abc"));
  await eventually(() => served.requests.length === 1);
  await client.send(headers(1, fields, !end));
  expect(await resetCode(client)).toBe(PROTOCOL_ERROR);
  expect(served.gone).toMatchObject([{ code: "bad_request", reason: "http2.stream" }]);
  const failed: unknown = await collect(served.requests[0]!.body, 100).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "bad_request" });
  client.reset();
});

test("trailers before the end of what content-length announced reset the stream", async () => {
  using served = await keeping();
  const client = await send(served, headers(1, get([["content-length", "5"]]), true), data(1, "abc"));
  await eventually(() => served.requests.length === 1);
  await client.send(headers(1, [["x-a", "1"]]));
  expect(await resetCode(client)).toBe(PROTOCOL_ERROR);
  client.reset();
});

test("two content-length, and two hosts, are not one", async () => {
  using served = await keeping();
  const twice = get([
    ["content-length", "0"],
    ["content-length", "0"],
  ]);
  const hosts = get([
    ["host", "a.test"],
    ["host", "a.test"],
  ]);
  const client = await send(served, headers(1, twice), headers(3, hosts));
  expect(await resetCode(client)).toBe(PROTOCOL_ERROR);
  await awaitFrame(client, ({ type, stream }) => type === DATA && stream === 3);
  expect(served.rejections).toMatchObject([{ code: "bad_request", reason: "malformed.host" }]);
  expect(served.requests).toEqual([]);
  client.reset();
});

test("priorities and frames of unknown types say nothing, wherever they come", async () => {
  using served = await testListener(echo);
  const said = [
    frame(PRIORITY, 0, 1, Buffer.alloc(5)),
    frame(PRIORITY, 0, 9, Buffer.of(0, 0, 0, 9, 255)),
    frame(0x10, 0xff, 0, Buffer.from("u=1")),
    frame(0xfa, END_STREAM, 1, Buffer.alloc(16_384)),
    frame(0xfb, END_STREAM, 2, Buffer.alloc(0)),
  ];
  const prioritized = Buffer.concat([Buffer.of(0x80, 0, 0, 1, 7), block(get())]);
  const client = await send(
    served,
    ...said,
    frame(HEADERS, END_HEADERS | 0x20, 1, prioritized),
    ...said,
    data(1, "body", true),
    ...said,
  );
  await awaitFrame(client, ({ type, flags }) => type === DATA && (flags & END_STREAM) !== 0);
  await pong(client);
  expect(ofStream(client)).toEqual(["HEADERS", "DATA end"]);
  expect(served.rejections).toEqual([]);
  client.reset();
});

test("padding is not content", async () => {
  using served = await testListener(echo);
  const padded = Buffer.concat([Buffer.of(200), block(get()), Buffer.alloc(200)]);
  const client = await send(
    served,
    frame(HEADERS, END_HEADERS | 0x8, 1, padded),
    frame(DATA, 0x8, 1, Buffer.concat([Buffer.of(255), Buffer.from("he"), Buffer.alloc(255)])),
    frame(DATA, 0x8, 1, Buffer.concat([Buffer.of(0), Buffer.from("ll")])),
    frame(DATA, 0x8, 1, Buffer.concat([Buffer.of(3), Buffer.alloc(3)])),
    frame(DATA, 0x8 | END_STREAM, 1, Buffer.concat([Buffer.of(1), Buffer.from("o"), Buffer.alloc(1)])),
  );
  const answer = await awaitFrame(client, ({ type }) => type === DATA);
  expect(answer.payload.toString()).toBe("hello");
  client.reset();
});

test("an answer's body that throws when it is cancelled is no other stream's business", async () => {
  using served = await keeping();
  const client = await send(served, headers(1, get()), headers(3, get()));
  await eventually(() => served.requests.length === 2);
  const broken = {
    length: undefined,
    trailers: undefined,
    read: () => new Promise<null>(() => {}),
    cancel() {
      throw new Error("not now");
    },
  };
  void served.requests[0]!.respond(200, new HeaderList(), broken);
  await client.send(frame(RST_STREAM, 0, 1, Buffer.of(0, 0, 0, CANCEL)));
  await pong(client);
  expect(served.gone).toMatchObject([{ code: "client_closed" }]);
  void served.requests[1]!.respond(200, new HeaderList(), new BytesBody(Buffer.from("whole")));
  await client.until(() => contentOf(client, 3) === "whole");
  client.reset();
});
