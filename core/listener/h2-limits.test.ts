import { expect, test } from "bun:test";
import { BytesBody, HeaderList } from "sluice/plugin";
import { eventually, LIMITS, type RawClient } from "../http1/test-server.ts";
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  GOAWAY,
  HEADERS,
  MAX_FRAME,
  MAX_HEADER_LIST_SIZE,
  NO_ERROR,
  PADDED,
  REFUSED_STREAM,
  RST_STREAM,
  SETTINGS,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import type { Inbound } from "./inbound.ts";
import { awaitFrame, block, type Fields, fieldsOf, framesOf, get, headers, hello } from "./test-h2-client.ts";
import { tellFacts, testListener } from "./test-listener.ts";

/* Header blocks and streams up to their limits and beyond. */

/** HEADERS and as many CONTINUATION frames as it takes. */
function longHeaders(stream: number, of: Fields | Uint8Array, flags = END_STREAM): Buffer {
  const bytes = of instanceof Uint8Array ? of : block(of);
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; at += MAX_FRAME) {
    const last = at + MAX_FRAME >= bytes.byteLength ? END_HEADERS : 0;
    const type = at === 0 ? HEADERS : CONTINUATION;
    frames.push(frame(type, (at === 0 ? flags : 0) | last, stream, bytes.subarray(at, at + MAX_FRAME)));
  }
  return Buffer.concat(frames);
}

/** `count` fields of `size` bytes of value each. */
function fields(count: number, size: number): Fields {
  return Array.from({ length: count }, (_, i) => [`x-${i}`, "a".repeat(size)] as const);
}

async function bodyOf(client: RawClient, stream: number): Promise<string> {
  await awaitFrame(client, (each) => {
    return each.stream === stream && each.type <= HEADERS && (each.flags & END_STREAM) !== 0;
  });
  const data = framesOf(client).filter((each) => each.stream === stream && each.type === DATA);
  return Buffer.concat(data.map(({ payload }) => payload)).toString();
}

/** Answers with the sizes of the fields, and of the target. */
function tellSizes(inbound: Inbound): void {
  const { rawTarget, headers: list } = inbound;
  const sizes = list.flat.map((text) => text.length);
  void inbound.respond(
    200,
    new HeaderList(),
    new BytesBody(Buffer.from(JSON.stringify([rawTarget.length, sizes]))),
  );
}

const KB = 1024;

test.each<readonly [string, { headerBytes?: number; headerCount?: number }, Fields]>([
  ["one field of 66 kB", {}, get(fields(1, 66_000))],
  ["one field of 200 kB", {}, get(fields(1, 200_000))],
  ["65 kB where 16 KiB are allowed", { headerBytes: 16 * KB }, get(fields(1, 65_000))],
  ["five fields of 40 kB", {}, get(fields(5, 40_000))],
  ["300 kB where 256 KiB are allowed", { headerBytes: 256 * KB }, get(fields(1, 300_000))],
  ["a name of 70 kB", {}, get([["n".repeat(70_000), "1"]])],
  ["205 fields", {}, get(fields(205, 1))],
  ["3000 fields", {}, get(fields(3000, 1))],
  ["12 fields where 10 are allowed", { headerCount: 10 }, get(fields(12, 1))],
  [
    "an authority of 70 kB",
    {},
    get().map((field) => (field[0] === ":authority" ? [":authority", "a".repeat(70_000)] : field)),
  ],
])("%s is answered with 431, and the connection lives on", async (_name, limits, list) => {
  const answers: (() => void)[] = [];
  using served = await testListener(
    (inbound) => {
      if (inbound.rawTarget === "/held") answers.push(() => tellSizes(inbound));
      else tellSizes(inbound);
    },
    { limits },
  );
  const client = await served.connect(hello(headers(1, get([], "/held"))).toString("latin1"));
  await eventually(() => answers.length === 1);
  await client.send(longHeaders(3, list));
  expect(await bodyOf(client, 3)).toBe("headers_too_large");
  await client.send(longHeaders(5, get([["x-after", "12"]])));
  expect(await bodyOf(client, 5)).toBe("[2,[7,2]]");
  // What ran before goes on.
  answers[0]!();
  expect(await bodyOf(client, 1)).toBe("[5,[]]");
  expect(served.rejections).toMatchObject([{ code: "headers_too_large", httpVersion: "2", rawTarget: "/x" }]);
  expect(framesOf(client).some(({ type }) => type === GOAWAY || type === RST_STREAM)).toBe(false);
  client.reset();
});

test.each([66_000, 131_000, 200_000, 262_000])(
  "a field of %d bytes that is within the limit arrives",
  async (size) => {
    using served = await testListener(tellSizes, { limits: { headerBytes: 256 * KB } });
    const list = get([
      ["x-a", "1"],
      ["x-long", "a".repeat(size)],
      ["x-b", "22"],
    ]);
    // However it is cut, with padding and a priority too.
    const padded = Buffer.concat([Buffer.of(9, 0, 0, 0, 0, 1), block(list)]);
    const first = Buffer.concat([padded.subarray(0, 1_000), Buffer.alloc(9)]);
    const client = await served.connect(hello(longHeaders(1, list)).toString("latin1"));
    expect(await bodyOf(client, 1)).toBe(`[2,[3,1,6,${size},3,2]]`);
    await client.send(frame(HEADERS, END_STREAM | PADDED | 0x20, 3, first));
    for (let at = 1_000; at < padded.byteLength; at += MAX_FRAME) {
      const last = at + MAX_FRAME >= padded.byteLength;
      const piece = frame(CONTINUATION, last ? END_HEADERS : 0, 3, padded.subarray(at, at + MAX_FRAME));
      await client.send(piece.subarray(0, 5));
      await client.send(piece.subarray(5));
    }
    expect(await bodyOf(client, 3)).toBe(`[2,[3,1,6,${size},3,2]]`);
    client.reset();
  },
);

test("a long target is answered for what it is", async () => {
  using served = await testListener(tellSizes, { limits: { headerBytes: 256 * KB, url: 100_000 } });
  const client = await served.connect(
    hello(
      longHeaders(1, get([], `/${"a".repeat(99_999)}`)),
      longHeaders(3, get([], `/${"a".repeat(100_000)}`)),
    ).toString("latin1"),
  );
  expect(await bodyOf(client, 1)).toBe("[100000,[]]");
  expect(await bodyOf(client, 3)).toBe("uri_too_long");
  client.reset();
});

test("the tables of both sides agree after a long field that was to be remembered", async () => {
  using served = await testListener(tellSizes, { limits: { headerBytes: 256 * KB } });
  const remembered = (name: string, value: string): Buffer => {
    const bytes = block([[name, value]]);
    bytes[0] = 0x40;
    return bytes;
  };
  const first = Buffer.concat([
    block(get()),
    remembered("x-old", "1"),
    remembered("x-long", "a".repeat(70_000)),
    remembered("x-new", "22"),
  ]);
  // Index 62 is what was remembered last; 63 is nothing, since the long field emptied the table.
  const second = Buffer.concat([block(get()), Buffer.of(0x80 | 62)]);
  const client = await served.connect(
    hello(longHeaders(1, first), longHeaders(3, second)).toString("latin1"),
  );
  expect(await bodyOf(client, 1)).toBe("[2,[5,1,6,70000,5,2]]");
  expect(await bodyOf(client, 3)).toBe("[2,[5,2]]");
  client.reset();
});

test("a gRPC call whose metadata are too large gets RESOURCE_EXHAUSTED", async () => {
  using served = await testListener(tellFacts);
  const call = get([["content-type", "application/grpc"], ...fields(1, 80_000)]);
  const client = await served.connect(hello(longHeaders(1, call, 0)).toString("latin1"));
  const answer = await awaitFrame(client, ({ type }) => type === HEADERS);
  expect(answer.flags & END_STREAM).toBe(END_STREAM);
  expect(fieldsOf(answer)["grpc-status"]).toBe("8");
  await awaitFrame(client, ({ type, stream }) => type === RST_STREAM && stream === 1);
  expect(
    framesOf(client)
      .find(({ type }) => type === RST_STREAM)!
      .payload.readUInt32BE(),
  ).toBe(NO_ERROR);
  expect(served.rejections).toMatchObject([{ code: "headers_too_large" }]);
  client.reset();
});

test("trailers within the limit arrive, those beyond it fail the body", async () => {
  const ends: unknown[] = [];
  using served = await testListener(
    async (inbound: Inbound) => {
      const body = inbound.body!;
      try {
        while ((await body.read()) !== null);
        ends.push(body.trailers?.flat.map((text) => text.length));
      } catch (error) {
        ends.push(error);
      }
      void inbound.respond(204, new HeaderList(), null);
    },
    { limits: { headerBytes: 128 * KB } },
  );
  const piece = frame(DATA, 0, 1, Buffer.from("abc"));
  for (const size of [100_000, 140_000]) {
    const trailers = longHeaders(1, block([["x-t", "a".repeat(size)]]));
    const client = await served.connect(hello(headers(1, get(), true), piece, trailers).toString("latin1"));
    await awaitFrame(client, ({ type }) => type === HEADERS);
    client.reset();
  }
  expect(ends).toMatchObject([[3, 100_000], { code: "bad_request", reason: "malformed.trailers" }]);
});

test("a header block far beyond the limits ends the connection", async () => {
  using served = await testListener(tellSizes);
  const client = await served.connect(hello(longHeaders(1, get(fields(1, 400_000)))).toString("latin1"));
  const { payload } = await awaitFrame(client, ({ type }) => type === GOAWAY);
  expect(payload.readUInt32BE(4)).toBe(ENHANCE_YOUR_CALM);
  expect(served.rejections).toMatchObject([{ code: "rate_limited", reason: "http2.continuation_flood" }]);
  client.finish();
  await client.ended();
});

test("a small block that stands for a huge list is reset, and the connection lives on", async () => {
  using served = await testListener(tellSizes);
  const entry = block([["x-a", "a".repeat(4_000)]]);
  entry[0] = 0x40;
  const bomb = Buffer.concat([block(get()), entry, Buffer.alloc(10_000, 0x80 | 62)]);
  const client = await served.connect(hello(longHeaders(1, bomb), headers(3, get())).toString("latin1"));
  const reset = await awaitFrame(client, ({ type }) => type === RST_STREAM);
  expect([reset.stream, reset.payload.readUInt32BE()]).toEqual([1, ENHANCE_YOUR_CALM]);
  expect(await bodyOf(client, 3)).toBe("[2,[]]");
  client.reset();
});

test("SETTINGS tell the size of the largest list that is within the limits", async () => {
  const limits = { headerBytes: 100_000, headerCount: 20, url: 2_000 };
  using served = await testListener(tellSizes, { limits });
  // 20 fields that use all of the limit, ": " and CRLF included, beside the authority.
  const names = fields(20, 0).map(([name]) => name);
  let left = limits.headerBytes - "a.test".length - names.join("").length - 4 * names.length;
  const list: [string, string][] = names.map((name) => [name, "a".repeat(4_900)]);
  left -= list.reduce((sum, [, value]) => sum + value.length, 0);
  list[0]![1] += "a".repeat(left);
  const most = get(list, `/${"p".repeat(1_999)}`);
  const client = await served.connect(hello(longHeaders(1, most)).toString("latin1"));
  expect(await bodyOf(client, 1)).toStartWith("[2000,");
  const { payload } = await awaitFrame(client, ({ type, flags }) => type === SETTINGS && flags === 0);
  let told = 0;
  for (let at = 0; at < payload.byteLength; at += 6) {
    if (payload.readUInt16BE(at) === MAX_HEADER_LIST_SIZE) told = payload.readUInt32BE(at + 2);
  }
  const size = most.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  expect(told).toBeGreaterThanOrEqual(size);
  expect(told).toBeLessThan(size + 50);
  list[0]![1] += "a";
  await client.send(longHeaders(3, get(list)));
  expect(await bodyOf(client, 3)).toBe("headers_too_large");
  client.reset();
});

test("streams above the limit are refused one by one while those below it are served", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { resets: 500 } });
  const client = await served.connect(
    hello(...Array.from({ length: 400 }, (_, i) => headers(1 + 2 * i, get()))).toString("latin1"),
  );
  await awaitFrame(client, ({ type, stream }) => type === RST_STREAM && stream === 799);
  const refused = framesOf(client).filter(({ type }) => type === RST_STREAM);
  expect(refused.length).toBe(400 - LIMITS.streams);
  expect(new Set(refused.map(({ payload }) => payload.readUInt32BE()))).toEqual(new Set([REFUSED_STREAM]));
  expect(Math.min(...refused.map(({ stream }) => stream))).toBe(2 * LIMITS.streams + 1);
  expect(requests.length).toBe(LIMITS.streams);
  for (const inbound of requests) tellSizes(inbound);
  expect(await bodyOf(client, 1)).toBe("[2,[]]");
  expect(await bodyOf(client, 2 * LIMITS.streams - 1)).toBe("[2,[]]");
  client.reset();
});

test("who goes on opening streams above the limit is let go with a GOAWAY", async () => {
  using served = await testListener(() => {}, { limits: { resets: 50, streams: 10 } });
  const client = await served.connect(
    hello(...Array.from({ length: 400 }, (_, i) => headers(1 + 2 * i, get()))).toString("latin1"),
  );
  const { payload } = await awaitFrame(client, ({ type }) => type === GOAWAY);
  expect(payload.readUInt32BE(4)).toBe(ENHANCE_YOUR_CALM);
  expect(served.rejections).toMatchObject([{ reason: "http2.reset_flood" }]);
  client.finish();
  await client.ended();
});

test("a connection keeps to the number of streams that it was told, also where a reload allows fewer", async () => {
  const requests: Inbound[] = [];
  using served = await testListener((inbound) => requests.push(inbound), { limits: { streams: 4 } });
  const client = await served.connect(hello(headers(1, get())).toString("latin1"));
  await eventually(() => requests.length === 1);
  served.listener.update({ limits: { ...LIMITS, streams: 2 } });
  await client.send(Buffer.concat([3, 5, 7].map((id) => headers(id, get()))));
  await eventually(() => requests.length === 4);
  await client.send(headers(9, get()));
  const reset = await awaitFrame(client, ({ type }) => type === RST_STREAM);
  expect([reset.stream, reset.payload.readUInt32BE()]).toEqual([9, REFUSED_STREAM]);
  // It holds for the next one.
  const next = await served.connect(hello(...[1, 3, 5].map((id) => headers(id, get()))).toString("latin1"));
  const refused = await awaitFrame(next, ({ type }) => type === RST_STREAM);
  expect(refused.stream).toBe(5);
  client.reset();
  next.reset();
});
