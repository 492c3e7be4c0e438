import { expect, test } from "bun:test";
import { BytesBody, HeaderList } from "sluice/plugin";
import { DATA, END_STREAM, RST_STREAM, WINDOW_UPDATE } from "../http2/frames.ts";
import {
  awaitFrame,
  contentOf,
  data,
  framesOf,
  get,
  headers,
  pong,
  resetCode,
  send,
} from "./test-h2-client.ts";
import { RECEIVE_WINDOW } from "./h2-stream.ts";
import { type TestListener, testListener } from "./test-listener.ts";

/* An answer that is complete before its request is (RFC 9113 §8.1). */

const NO_ERROR = 0;
/** Of the listener's sweep, and more than the patience with a client. */
const LATER = 2_000;

const refusing = (): Promise<TestListener> =>
  testListener((inbound) => inbound.respond(404, new HeaderList(), new BytesBody(Buffer.from("no"))));

/** The head of a request with a body of so many bytes. */
const posting = (id: number, bytes: number) => headers(id, get([["content-length", String(bytes)]]), true);

test("the rest of the request is taken, and the stream is not reset", async () => {
  using served = await refusing();
  const client = await send(served, posting(1, 2));
  await awaitFrame(client, ({ type, flags }) => type === DATA && (flags & END_STREAM) !== 0);
  await client.send(Buffer.concat([data(1, "{"), data(1, "}", true)]));
  await pong(client);
  await served.clock.advance(LATER);
  await pong(client);
  expect(framesOf(client).filter(({ type }) => type === RST_STREAM)).toBeEmpty();
  expect(contentOf(client)).toBe("no");
  client.reset();
});

test("a client that does not end it is told, without an error", async () => {
  using served = await refusing();
  const client = await send(served, posting(1, 4), posting(3, 5));
  await awaitFrame(client, ({ type, stream }) => type === DATA && stream === 3);
  await client.send(data(3, "whole", true));
  await pong(client);
  await served.clock.advance(LATER);
  expect(await resetCode(client)).toBe(NO_ERROR);
  await client.send(data(1, "late", true));
  await pong(client);
  const resets = framesOf(client).filter(({ type }) => type === RST_STREAM);
  expect(resets.map(({ stream }) => stream)).toEqual([1]);
  client.reset();
});

test("its window is not opened again, that of the connection is: others upload on", async () => {
  using served = await refusing();
  const client = await send(served);
  const piece = Buffer.alloc(16_384, "x");
  // More than the connection takes at a time.
  for (let id = 1; id < 41; id += 2) {
    await client.send(posting(id, RECEIVE_WINDOW));
    await awaitFrame(client, ({ type, stream }) => type === DATA && stream === id);
    for (let sent = 0; sent < RECEIVE_WINDOW; sent += piece.byteLength) await client.send(data(id, piece));
    await pong(client);
  }
  const opened = framesOf(client).filter(({ type }) => type === WINDOW_UPDATE);
  expect(opened.filter(({ stream }) => stream !== 0)).toBeEmpty();
  expect(opened.length).toBeGreaterThan(1);
  client.reset();
});

test("who asks and leaves without end is reset at last, and may not go on for ever", async () => {
  using served = await refusing();
  const client = await send(served);
  for (let id = 1; id < 400; id += 2) {
    await client.send(posting(id, 1));
    await awaitFrame(client, ({ type, stream }) => type === DATA && stream === id);
  }
  const resets = () => framesOf(client).filter(({ type }) => type === RST_STREAM).length;
  // The oldest make room.
  expect(resets()).toBeGreaterThan(50);
  await served.clock.advance(LATER);
  await pong(client);
  expect(resets()).toBe(200);
  client.reset();
});

test("a client that would need leave to go on, or says no length, is told at once", async () => {
  using served = await refusing();
  const client = await send(served, posting(1, RECEIVE_WINDOW + 1), headers(3, get(), true));
  expect(await resetCode(client, 1)).toBe(NO_ERROR);
  expect(await resetCode(client, 3)).toBe(NO_ERROR);
  client.reset();
});
