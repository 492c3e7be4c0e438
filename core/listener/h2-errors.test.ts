import { expect, test } from "bun:test";
import { BodyQueue, HeaderList } from "sluice/plugin";
import { eventually } from "../http1/test-server.ts";
import {
  ACK,
  COMPRESSION_ERROR,
  DATA,
  ENABLE_PUSH,
  END_HEADERS,
  END_STREAM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_31,
  MAX_FRAME_SIZE,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  STREAM_CLOSED,
  WINDOW_UPDATE,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import type { Inbound } from "./inbound.ts";
import {
  awaitFrame,
  block,
  EMPTY,
  framesOf,
  get,
  goawayCode,
  headers,
  send,
  setting,
  windowUpdate,
} from "./test-h2-client.ts";
import { tellFacts, testListener } from "./test-listener.ts";

/* What ends a connection, and the error code that says so (RFC 9113 §5.4.1). */

const upload = headers(1, get(), true);
const one = Buffer.of(1);

test.each<readonly [string, Uint8Array[], number]>([
  ["a frame that is too long", [frame(DATA, 0, 1, Buffer.alloc(16_385))], FRAME_SIZE_ERROR],
  ["a stream number of ours", [headers(2, get())], PROTOCOL_ERROR],
  ["a request on stream 0", [headers(0, get())], PROTOCOL_ERROR],
  ["stream numbers that go back", [headers(5, get()), headers(3, get())], PROTOCOL_ERROR],
  ["a request on a stream that had one", [headers(1, get()), headers(1, get())], STREAM_CLOSED],
  ["HEADERS and DATA mixed", [frame(HEADERS, 0, 1, block(get())), frame(DATA, 0, 1, EMPTY)], PROTOCOL_ERROR],
  ["DATA on an idle stream", [frame(DATA, END_STREAM, 5, one)], PROTOCOL_ERROR],
  ["DATA on an idle stream above others", [upload, frame(DATA, END_STREAM, 5, one)], PROTOCOL_ERROR],
  ["DATA on a stream of ours", [frame(DATA, END_STREAM, 2, one)], PROTOCOL_ERROR],
  ["DATA on stream 0", [frame(DATA, END_STREAM, 0, one)], PROTOCOL_ERROR],
  ["RST_STREAM on an idle stream", [frame(RST_STREAM, 0, 5, Buffer.alloc(4))], PROTOCOL_ERROR],
  ["RST_STREAM on stream 0", [frame(RST_STREAM, 0, 0, Buffer.alloc(4))], PROTOCOL_ERROR],
  ["RST_STREAM of three bytes", [upload, frame(RST_STREAM, 0, 1, Buffer.alloc(3))], FRAME_SIZE_ERROR],
  ["WINDOW_UPDATE on an idle stream", [windowUpdate(5, 1)], PROTOCOL_ERROR],
  ["WINDOW_UPDATE of three bytes", [frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3))], FRAME_SIZE_ERROR],
  ["WINDOW_UPDATE by nothing", [windowUpdate(0, 0)], PROTOCOL_ERROR],
  ["a window that overflows", [windowUpdate(0, MAX_31)], FLOW_CONTROL_ERROR],
  [
    "a window that overflows in steps",
    [windowUpdate(0, MAX_31 - 65_536), windowUpdate(0, 1), windowUpdate(0, 1)],
    FLOW_CONTROL_ERROR,
  ],
  ["a PING that is too short", [frame(PING, 0, 0, one)], FRAME_SIZE_ERROR],
  ["a PING of a stream", [frame(PING, 0, 1, Buffer.alloc(8))], PROTOCOL_ERROR],
  ["a GOAWAY that is too short", [frame(GOAWAY, 0, 0, Buffer.alloc(7))], FRAME_SIZE_ERROR],
  ["a GOAWAY of a stream", [frame(GOAWAY, 0, 1, Buffer.alloc(8))], PROTOCOL_ERROR],
  ["a PRIORITY that is too short", [frame(PRIORITY, 0, 1, Buffer.alloc(4))], FRAME_SIZE_ERROR],
  ["a PRIORITY of no stream", [frame(PRIORITY, 0, 0, Buffer.alloc(5))], PROTOCOL_ERROR],
  ["an acknowledgement with settings", [frame(SETTINGS, ACK, 0, Buffer.alloc(6))], FRAME_SIZE_ERROR],
  ["SETTINGS in part", [frame(SETTINGS, 0, 0, Buffer.alloc(5))], FRAME_SIZE_ERROR],
  ["SETTINGS of a stream", [frame(SETTINGS, 0, 1, EMPTY)], PROTOCOL_ERROR],
  ["a window that cannot be", [setting(INITIAL_WINDOW_SIZE, 2 ** 31)], FLOW_CONTROL_ERROR],
  ["frames that are too small", [setting(MAX_FRAME_SIZE, 16_383)], PROTOCOL_ERROR],
  ["frames that are too large", [setting(MAX_FRAME_SIZE, 2 ** 24)], PROTOCOL_ERROR],
  ["a push that is neither on nor off", [setting(ENABLE_PUSH, 2)], PROTOCOL_ERROR],
  ["HEADERS that are all padding", [frame(HEADERS, 0xd, 1, Buffer.of(9, 0x82))], PROTOCOL_ERROR],
  ["DATA that is all padding", [upload, frame(DATA, 0x8, 1, Buffer.of(2, 0))], PROTOCOL_ERROR],
  ["garbage for HPACK", [frame(HEADERS, 5, 1, Buffer.alloc(8, 0xff))], COMPRESSION_ERROR],
  ["a field that no table has", [frame(HEADERS, 5, 1, Buffer.of(0x80 | 70))], COMPRESSION_ERROR],
  ["garbage for trailers", [upload, frame(HEADERS, 5, 1, Buffer.alloc(8, 0xff))], COMPRESSION_ERROR],
  ["a push", [frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.of(0, 0, 0, 2))], PROTOCOL_ERROR],
])("%s ends the connection with GOAWAY", async (_name, frames, code) => {
  using served = await testListener(tellFacts);
  const client = await send(served, ...frames);
  expect(await goawayCode(client)).toBe(code);
  // RFC 9113 §3.4: SETTINGS come first all the same.
  expect(framesOf(client)[0]).toMatchObject({ type: SETTINGS, flags: 0 });
  client.finish();
  await client.ended();
  expect(served.rejections).toMatchObject([{ code: "bad_request", httpVersion: "2", method: undefined }]);
  await eventually(() => served.listener.connections === 0);
});

// Windows of streams (RFC 9113 §6.9.1, §6.9.2).

const LARGEST = setting(INITIAL_WINDOW_SIZE, MAX_31);

test.each([true, false])(
  "no SETTINGS may make the window of a stream overflow (in one piece: %p)",
  async (joined) => {
    const requests: Inbound[] = [];
    using served = await testListener((inbound) => requests.push(inbound));
    const pieces = [headers(1, get()), headers(3, get()), windowUpdate(3, 1)];
    const client = await send(served, ...(joined ? [...pieces, LARGEST] : pieces));
    if (!joined) {
      await eventually(() => requests.length === 2);
      await client.send(LARGEST);
    }
    expect(await goawayCode(client)).toBe(FLOW_CONTROL_ERROR);
    expect(served.rejections).toMatchObject([{ code: "bad_request", reason: "http2.window" }]);
    client.reset();
  },
);

test("a window as large as it may be is no overflow, neither is one that was used", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound));
  const client = await send(
    served,
    headers(1, get()),
    headers(3, get()),
    windowUpdate(3, 1),
    headers(5, get()),
  );
  await eventually(() => requests.length === 3);
  // One byte of the fifth stream is spent when it is granted once more, and the third stream is over.
  const body = new BodyQueue({ pause() {}, resume() {}, cancelled() {} });
  body.push(one);
  void requests[2]!.respond(200, new HeaderList(), body);
  void requests[1]!.respond(204, new HeaderList(), null);
  await awaitFrame(client, ({ type, stream }) => type === DATA && stream === 5);
  await awaitFrame(client, ({ type, stream }) => type === HEADERS && stream === 3);
  const ping = frame(PING, 0, 0, Buffer.alloc(8));
  await client.send(Buffer.concat([windowUpdate(5, 1), LARGEST, windowUpdate(1, 0), ping]));
  await awaitFrame(client, ({ type }) => type === PING);
  expect(framesOf(client).some(({ type }) => type === GOAWAY)).toBe(false);
  expect(served.rejections).toEqual([]);
  client.reset();
});

test("a window that WINDOW_UPDATE makes overflow resets its stream, and the others go on", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound));
  const client = await send(served, headers(1, get()), headers(3, get()));
  await eventually(() => requests.length === 2);
  await client.send(windowUpdate(1, MAX_31));
  const reset = await awaitFrame(client, ({ type }) => type === RST_STREAM);
  expect([reset.stream, reset.payload.readUInt32BE()]).toEqual([1, FLOW_CONTROL_ERROR]);
  void requests[1]!.respond(204, new HeaderList(), null);
  await awaitFrame(client, ({ type, stream }) => type === HEADERS && stream === 3);
  client.reset();
});
