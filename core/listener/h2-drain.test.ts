import { expect, test } from "bun:test";
import { HeaderList } from "sluice/plugin";
import { eventually, type RawClient } from "../http1/test-server.ts";
import {
  ACK,
  DATA,
  END_STREAM,
  GOAWAY,
  HEADERS,
  MAX_31 as MAX_STREAM_ID,
  NO_ERROR,
  PING,
  REFUSED_STREAM,
  RST_STREAM,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import type { Inbound } from "./inbound.ts";
import { awaitFrame, framesOf, get, headers, ofStream, send } from "./test-h2-client.ts";
import { tellFacts, type TestListener, testListener } from "./test-listener.ts";

/* How an HTTP/2 connection comes to its end in order (RFC 9113 §6.8). */

/** Drains; the client acknowledges the first GOAWAY and hears the last one. @returns the last stream that is served */
async function drained(served: TestListener, client: RawClient): Promise<number> {
  served.listener.drain();
  const ping = await awaitFrame(client, ({ type, flags }) => type === PING && (flags & ACK) === 0);
  await client.send(frame(PING, ACK, 0, ping.payload));
  const last = await awaitFrame(client, ({ type, payload }) => {
    return type === GOAWAY && payload.readUInt32BE(0) !== MAX_STREAM_ID;
  });
  expect(last.payload.readUInt32BE(4)).toBe(NO_ERROR);
  return last.payload.readUInt32BE(0);
}

/** The last streams that were named, one a GOAWAY. They may not go up (RFC 9113 §6.8). */
function lastStreams(client: RawClient): number[] {
  return framesOf(client)
    .filter(({ type }) => type === GOAWAY)
    .map(({ payload }) => payload.readUInt32BE());
}

test("drain loses no request: the last stream is named when the client has heard of it", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound));
  const client = await send(served, headers(1, get()));
  await eventually(() => requests.length === 1);
  served.listener.drain();
  const first = await awaitFrame(client, ({ type }) => type === GOAWAY);
  expect(first.payload.readUInt32BE(0)).toBe(MAX_STREAM_ID);
  // Sent before the client could know.
  await client.send(headers(3, get()));
  await eventually(() => requests.length === 2);
  const ping = await awaitFrame(client, ({ type, flags }) => type === PING && (flags & ACK) === 0);
  await client.send(frame(PING, ACK, 0, ping.payload));
  const last = await awaitFrame(client, ({ type, payload }) => {
    return type === GOAWAY && payload.readUInt32BE(0) !== MAX_STREAM_ID;
  });
  expect(last.payload.readUInt32BE(0)).toBe(3);
  expect(last.payload.readUInt32BE(4)).toBe(NO_ERROR);
  for (const inbound of requests) void inbound.respond(204, new HeaderList(), null);
  await client.ended();
  expect(ofStream(client, 1)).toEqual(["HEADERS end"]);
  expect(ofStream(client, 3)).toEqual(["HEADERS end"]);
});

test("drain tells an idle client first, serves what it had sent, and then closes", async () => {
  using served = await testListener(tellFacts);
  const client = await send(served, headers(1, get()));
  await awaitFrame(client, ({ type }) => type === DATA);
  served.listener.drain();
  const first = await awaitFrame(client, ({ type }) => type === GOAWAY);
  expect(first.payload.readUInt32BE(0)).toBe(MAX_STREAM_ID);
  await client.send(headers(3, get()));
  await awaitFrame(client, ({ type, stream }) => type === DATA && stream === 3);
  // It does not answer our PING: a second later it is told to go all the same.
  expect(framesOf(client).filter(({ type }) => type === GOAWAY).length).toBe(1);
  await served.clock.advance(1_300);
  const last = await awaitFrame(client, ({ type, payload }) => {
    return type === GOAWAY && payload.readUInt32BE(0) !== MAX_STREAM_ID;
  });
  expect([last.payload.readUInt32BE(0), last.payload.readUInt32BE(4)]).toEqual([3, NO_ERROR]);
  await client.ended();
  await served.clock.advance(3_000);
  await eventually(() => served.listener.connections === 0);
});

test("a drained client that answers at once is not kept", async () => {
  using served = await testListener(tellFacts);
  const client = await send(served, headers(1, get()));
  await awaitFrame(client, ({ type }) => type === DATA);
  served.listener.drain();
  const ping = await awaitFrame(client, ({ type, flags }) => type === PING && (flags & ACK) === 0);
  await client.send(frame(PING, ACK, 0, ping.payload));
  // The clock stands still.
  await client.ended();
  client.finish();
  await eventually(() => served.listener.connections === 0);
});

test("a stream that is opened after the last one was named is refused, and does not hold the connection", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound));
  const client = await send(served, headers(1, get()));
  await eventually(() => requests.length === 1);
  expect(await drained(served, client)).toBe(1);
  // A body that never ends, and one that is there already.
  await client.send(headers(3, get(), true));
  await client.send(Buffer.concat([headers(5, get(), true), frame(DATA, END_STREAM, 5, Buffer.from("x"))]));
  for (const stream of [3, 5]) {
    const reset = await awaitFrame(client, (seen) => seen.type === RST_STREAM && seen.stream === stream);
    expect(reset.payload.readUInt32BE()).toBe(REFUSED_STREAM);
  }
  expect(requests).toHaveLength(1);
  void requests[0]!.respond(204, new HeaderList(), null);
  await client.ended();
  expect(framesOf(client).filter(({ type, stream }) => type === HEADERS && stream !== 1)).toEqual([]);
  expect(lastStreams(client)).toEqual([MAX_STREAM_ID, 1]);
  client.finish();
  await eventually(() => served.listener.connections === 0);
  expect(served.rejections).toEqual([]);
});

test("streams below the last one go on after it was named: bodies, trailers, and the tables of both sides agree", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound));
  const client = await send(served, headers(1, get(), true));
  await eventually(() => requests.length === 1);
  await drained(served, client);
  await client.send(headers(3, get([["x-refused", "1"]])));
  await client.send(frame(DATA, 0, 1, Buffer.from("body")));
  await client.send(headers(1, [["x-sum", "7"]]));
  const body = requests[0]!.body!;
  expect(Buffer.from((await body.read())!).toString()).toBe("body");
  expect(await body.read()).toBeNull();
  expect(body.trailers?.flat).toEqual(["x-sum", "7"]);
  void requests[0]!.respond(200, new HeaderList(), null);
  await client.ended();
});

test("a client that goes on opening streams is let go", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { resets: 20 } });
  const client = await send(served, headers(1, get()));
  await eventually(() => requests.length === 1);
  await drained(served, client);
  const more = Array.from({ length: 30 }, (_, i) => headers(3 + 2 * i, get()));
  await client.send(Buffer.concat(more));
  await client.ended();
  expect(requests).toHaveLength(1);
  expect(served.rejections).toMatchObject([{ reason: "http2.reset_flood" }]);
  expect(lastStreams(client)).toEqual([MAX_STREAM_ID, 1, 1]);
});

test.each([
  ["behind", (ack: Uint8Array, request: Uint8Array) => [ack, request]],
  ["before", (ack: Uint8Array, request: Uint8Array) => [request, ack]],
])("a request in one piece with the answer to PING, %s it, is served", async (_where, inOrder) => {
  const late: Inbound[] = [];
  using served = await testListener((inbound) => {
    if (inbound.rawTarget === "/late") late.push(inbound);
    else tellFacts(inbound);
  });
  const client = await send(served, headers(1, get()));
  await awaitFrame(client, ({ type }) => type === DATA);
  served.listener.drain();
  const ping = await awaitFrame(client, ({ type, flags }) => type === PING && (flags & ACK) === 0);
  await client.send(Buffer.concat(inOrder(frame(PING, ACK, 0, ping.payload), headers(3, get([], "/late")))));
  await eventually(() => late.length === 1);
  tellFacts(late[0]!);
  await client.ended();
  expect(lastStreams(client)).toEqual([MAX_STREAM_ID, 3]);
  expect(
    framesOf(client)
      .filter(({ stream }) => stream === 3)
      .map(({ type }) => type),
  ).toEqual([HEADERS, DATA]);
});
