import { expect, test } from "bun:test";
import { type Body, BytesBody, collect, HeaderList } from "sluice/plugin";
import { eventually, type RawClient } from "../http1/test-server.ts";
import {
  DATA,
  DEFAULT_WINDOW,
  END_STREAM,
  FLOW_CONTROL_ERROR,
  INITIAL_WINDOW_SIZE,
  MAX_FRAME,
  WINDOW_UPDATE,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import { RECEIVE_WINDOW } from "./h2-stream.ts";
import type { Inbound } from "./inbound.ts";
import {
  awaitFrame,
  contentOf,
  data,
  framesOf,
  get,
  goawayCode,
  headers,
  pong,
  resetCode,
  send,
  setting,
  windowUpdate,
} from "./test-h2-client.ts";
import { testListener } from "./test-listener.ts";

/* Windows, as both sides reckon them (RFC 9113 §5.2, §6.9). */

const ALPHABET = "abcdefghijklmnopqrstuvwxyz";

function answerWith(content: string | Uint8Array): (inbound: Inbound) => unknown {
  return (inbound) => inbound.respond(200, new HeaderList(), new BytesBody(Buffer.from(content)));
}

test("an answer stops at its window, and changes of INITIAL_WINDOW_SIZE hold for streams that are open", async () => {
  using served = await testListener(answerWith(ALPHABET));
  const client = await send(served, setting(INITIAL_WINDOW_SIZE, 3), headers(1, get()));
  await pong(client);
  expect(contentOf(client)).toBe("abc");
  await client.send(windowUpdate(1, 2));
  await pong(client);
  expect(contentOf(client)).toBe("abcde");
  await client.send(setting(INITIAL_WINDOW_SIZE, 7));
  await pong(client);
  expect(contentOf(client)).toBe("abcdefghi");
  // Seven less: the window is below 0, and has to come back first.
  await client.send(Buffer.concat([setting(INITIAL_WINDOW_SIZE, 0), windowUpdate(1, 7)]));
  await pong(client);
  expect(contentOf(client)).toBe("abcdefghi");
  await client.send(windowUpdate(1, 1));
  await pong(client);
  expect(contentOf(client)).toBe("abcdefghij");
  await client.send(windowUpdate(1, 100));
  const last = await awaitFrame(client, ({ type, flags }) => type === DATA && (flags & END_STREAM) !== 0);
  expect(last.stream).toBe(1);
  expect(contentOf(client)).toBe(ALPHABET);
  client.reset();
});

test("a body that fits its window to the byte ends, and an empty one needs no window", async () => {
  using served = await testListener((inbound) =>
    answerWith(inbound.rawTarget === "/empty" ? "" : "abc")(inbound),
  );
  const client = await send(served, setting(INITIAL_WINDOW_SIZE, 3), headers(1, get()));
  await pong(client);
  await client.send(Buffer.concat([setting(INITIAL_WINDOW_SIZE, 0), headers(3, get([], "/empty"))]));
  await client.until(
    () => framesOf(client).filter(({ flags, stream }) => stream > 0 && flags & 1).length === 2,
  );
  expect([contentOf(client, 1), contentOf(client, 3)]).toEqual(["abc", ""]);
  client.reset();
});

test("what the connection's window lets through is shared: each answer gets its turn", async () => {
  using served = await testListener(answerWith(Buffer.alloc(200_000, "x")));
  const streams = [1, 3, 5, 7];
  const client = await send(
    served,
    setting(INITIAL_WINDOW_SIZE, 2 ** 30),
    ...streams.map((stream) => headers(stream, get())),
  );
  await pong(client);
  const sent = () => streams.map((stream) => contentOf(client, stream).length);
  const total = () => sent().reduce((sum, length) => sum + length, 0);
  expect(total()).toBe(DEFAULT_WINDOW);
  for (let i = 1; i <= 8; i++) {
    await client.send(windowUpdate(0, 10_000));
    await pong(client);
    expect(total()).toBe(DEFAULT_WINDOW + i * 10_000);
  }
  // The first one had what the connection began with.
  for (const length of sent().slice(1)) expect(length).toBeGreaterThanOrEqual(10_000);
  await client.send(windowUpdate(0, 1_000_000));
  await client.until(() => total() === 800_000);
  client.reset();
});

const PIECE = frame(DATA, 0, 1, Buffer.alloc(MAX_FRAME));

test("more than a stream's window resets it; the connection goes on", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound));
  const client = await send(served, headers(1, get(), true));
  await eventually(() => requests.length === 1);
  const pieces = Array.from({ length: RECEIVE_WINDOW / MAX_FRAME }, () => PIECE);
  await client.send(Buffer.concat(pieces));
  await pong(client);
  await client.send(data(1, "one byte more".slice(0, 1)));
  expect(await resetCode(client)).toBe(FLOW_CONTROL_ERROR);
  await pong(client);
  client.reset();
});

test("more than the connection's window ends it", async () => {
  using served = await testListener(() => {}, { limits: { body: 1e9 } });
  const streams = Array.from({ length: 40 }, (_, i) => 1 + 2 * i);
  const client = await send(served, ...streams.map((stream) => headers(stream, get(), true)));
  for (const stream of streams) {
    if (client.end !== undefined) break;
    const piece = frame(DATA, 0, stream, Buffer.alloc(MAX_FRAME));
    await client.send(Buffer.concat(Array.from({ length: 16 }, () => piece))).catch(() => {});
  }
  expect(await goawayCode(client)).toBe(FLOW_CONTROL_ERROR);
  expect(served.rejections).toMatchObject([{ reason: "http2.window" }]);
  client.reset();
});

test("what nobody reads is no more than the connection's window, however many streams it is on", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const streams = Array.from({ length: 100 }, (_, i) => 1 + 2 * i);
  const client = await send(served, ...streams.map((stream) => headers(stream, get(), true)));
  await eventually(() => requests.length === streams.length);
  await pong(client);
  const whole = grantedOn(client, 0, DEFAULT_WINDOW);
  // Little on each: none of them is behind by itself.
  const each = Math.floor(whole / 100);
  for (const stream of streams) await client.send(data(stream, Buffer.alloc(Math.min(each, MAX_FRAME))));
  await pong(client);
  expect(grantedOn(client, 0, DEFAULT_WINDOW)).toBe(whole);
  // What is read may come again, be it on one stream alone.
  let read = 0;
  for (const { body } of requests) read += ((await body!.read()) as Uint8Array).byteLength;
  await pong(client);
  expect(grantedOn(client, 0, DEFAULT_WINDOW)).toBeGreaterThan(whole + read / 2);
  client.reset();
});

/** What the client may send in all, on a stream or (0) on the connection. */
function grantedOn(client: RawClient, id: number, first: number): number {
  const updates = framesOf(client).filter(({ type, stream }) => type === WINDOW_UPDATE && stream === id);
  return updates.reduce((sum, { payload }) => sum + payload.readUInt32BE(), first);
}

test("uploads whose readers are behind do not hold up another one", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const slow = [1, 3, 5, 7, 9, 11, 13];
  const client = await send(served, ...slow.map((stream) => headers(stream, get(), true)));
  await eventually(() => requests.length === slow.length);
  for (const stream of slow) {
    const piece = frame(DATA, 0, stream, Buffer.alloc(MAX_FRAME));
    await client.send(Buffer.concat(Array.from({ length: 16 }, () => piece)));
  }
  await client.send(headers(15, get(), true));
  await eventually(() => requests.length === slow.length + 1);
  const whole = collect(requests.at(-1)!.body, 1e9);
  // As much as the windows allow, as long as the client is told to go on.
  const piece = frame(DATA, 0, 15, Buffer.alloc(MAX_FRAME));
  const room = (sent: number): number =>
    Math.min(
      grantedOn(client, 15, RECEIVE_WINDOW) - sent,
      grantedOn(client, 0, DEFAULT_WINDOW) - slow.length * RECEIVE_WINDOW - sent,
    );
  await pong(client);
  for (let sent = 0, left = room(0); sent < 10 * RECEIVE_WINDOW; sent += MAX_FRAME, left -= MAX_FRAME) {
    if (left < MAX_FRAME) {
      await pong(client);
      left = room(sent);
      expect(left).toBeGreaterThanOrEqual(MAX_FRAME);
    }
    await client.send(piece);
  }
  await client.send(data(15, "", true));
  expect((await whole)!.byteLength).toBe(10 * RECEIVE_WINDOW);
  client.reset();
});

test("what padding takes of the windows, and what nobody wants, comes back", async () => {
  using served = await testListener((inbound) => {
    if (inbound.rawTarget === "/no") void inbound.respond(403, new HeaderList(), null);
    else void collect(inbound.body, 1e9).catch(() => {});
  });
  const client = await send(served, headers(1, get([], "/no"), true), headers(3, get(), true));
  await resetCode(client);
  await pong(client);
  const whole = grantedOn(client, 0, DEFAULT_WINDOW);
  const padded = Buffer.alloc(300);
  padded[0] = 255;
  let used = 0;
  for (let i = 0; i < 40; i++) {
    const mixed = Array.from({ length: 200 }, () => [frame(DATA, 0x8, 3, padded), data(1, padded)]).flat();
    await client.send(Buffer.concat(mixed));
    used += 400 * padded.byteLength;
    await pong(client);
    expect(grantedOn(client, 0, DEFAULT_WINDOW) - used).toBeGreaterThanOrEqual(whole / 2);
  }
  client.reset();
});

test("an answer unlike its length is broken off", async () => {
  for (const length of [2, 4]) {
    let cancelled = false;
    const body: Body = {
      length,
      trailers: undefined,
      read: (() => {
        const pieces = [Buffer.from("ab"), Buffer.from("c")];
        return () => pieces.shift() ?? null;
      })(),
      cancel: () => (cancelled = true),
    };
    using served = await testListener((inbound) => inbound.respond(200, new HeaderList(), body));
    const client = await send(served, headers(1, get()));
    expect(await resetCode(client)).toBe(2);
    expect(framesOf(client).some(({ type, flags }) => type === DATA && (flags & END_STREAM) !== 0)).toBe(
      false,
    );
    expect(cancelled).toBe(true);
    client.reset();
  }
});

/** Sends as much on a stream, in frames of the largest size. */
async function upload(client: RawClient, id: number, bytes: number, end = false): Promise<void> {
  for (let sent = MAX_FRAME; sent <= bytes; sent += MAX_FRAME) {
    await client.send(frame(DATA, end && sent === bytes ? END_STREAM : 0, id, Buffer.alloc(MAX_FRAME)));
  }
  await pong(client);
}

test("what was read is granted at the latest when the client has nothing left", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const slow = [3, 5, 7, 9, 11];
  const client = await send(served, ...[1, ...slow].map((id) => headers(id, get(), true)));
  await eventually(() => requests.length === 6);
  void collect(requests[0]!.body, 1e9).catch(() => {});
  let sent = 0;
  // Less than is worth a word, and then all the rest for those whose readers are behind.
  for (; sent < 56 * MAX_FRAME; sent += 8 * MAX_FRAME) await upload(client, 1, 8 * MAX_FRAME);
  for (const id of slow) {
    const left = grantedOn(client, 0, DEFAULT_WINDOW) - sent;
    const bytes = Math.min(RECEIVE_WINDOW, left - (left % MAX_FRAME));
    await upload(client, id, bytes);
    sent += bytes;
  }
  expect(grantedOn(client, 0, DEFAULT_WINDOW) - sent).toBeGreaterThan(0);
  client.reset();
});

test("a body that is given up after its end holds nothing of the connection's window", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const client = await send(served);
  await pong(client);
  const whole = grantedOn(client, 0, DEFAULT_WINDOW);
  const ids = [1, 3, 5, 7, 9, 11];
  for (const id of ids) {
    await client.send(headers(id, get(), true));
    await upload(client, id, RECEIVE_WINDOW, true);
  }
  expect(grantedOn(client, 0, DEFAULT_WINDOW)).toBe(whole);
  for (const { body } of requests) body!.cancel();
  await pong(client);
  const sent = ids.length * RECEIVE_WINDOW;
  expect(grantedOn(client, 0, DEFAULT_WINDOW) - sent).toBeGreaterThanOrEqual(whole / 2);
  client.reset();
});
