import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Body, BodyQueue, BytesBody, collect, HeaderList } from "sluice/plugin";
import { HpackDecoder } from "../http2/hpack-decoder.ts";
import { HpackEncoder } from "../http2/hpack-encoder.ts";
import { OutBuffer } from "../http2/out-buffer.ts";
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HEADERS,
  PING,
  PRIORITY,
  RST_STREAM,
  WINDOW_UPDATE,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import type { Inbound } from "./inbound.ts";
import { EMPTY, framesOf, get, hello, type SeenFrame } from "./test-h2-client.ts";
import { testListener } from "./test-listener.ts";

/* Whole sessions, made at random: what is said arrives, however its frames are mixed and cut. */

/** A request: its body in pieces, each with its padding, and trailers. */
interface Said {
  readonly body: readonly { readonly size: number; readonly padding: number }[];
  readonly trailers: boolean;
  readonly priority: boolean;
  readonly cut: number;
}

const said: fc.Arbitrary<Said> = fc.record({
  body: fc.array(
    fc.record({ size: fc.oneof(fc.nat(30), fc.nat(5_000)), padding: fc.oneof(fc.constant(-1), fc.nat(40)) }),
    { maxLength: 6 },
  ),
  trailers: fc.boolean(),
  priority: fc.boolean(),
  cut: fc.nat(60),
});

/** Between the frames of a session. */
const noise = fc.constantFrom(
  EMPTY,
  frame(PING, 0, 0, Buffer.from("anything")),
  frame(WINDOW_UPDATE, 0, 0, Buffer.of(0, 0, 1, 0)),
  frame(PRIORITY, 0, 5, Buffer.alloc(5)),
  frame(0xbe, 0xff, 3, Buffer.from("what is this")),
);

/** The bytes of a body, other ones for each stream. */
function contentOf(stream: number, { body }: Said): Buffer {
  const length = body.reduce((sum, { size }) => sum + size, 0);
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + stream * 31) % 251));
}

/** A header block as HEADERS and CONTINUATION. */
function blockFrames(stream: number, block: Buffer, flags: number, { priority, cut }: Said): Buffer {
  const bytes = priority ? Buffer.concat([Buffer.of(0, 0, 0, 1, 9), block]) : block;
  const at = Math.min(bytes.byteLength, 5 + cut);
  const first = flags | (priority ? 0x20 : 0) | (at === bytes.byteLength ? END_HEADERS : 0);
  const frames: Uint8Array[] = [frame(HEADERS, first, stream, bytes.subarray(0, at))];
  if (at < bytes.byteLength) frames.push(frame(CONTINUATION, END_HEADERS, stream, bytes.subarray(at)));
  return Buffer.concat(frames);
}

/** The frames of a request; header blocks are made when it is their turn, since the table is the connection's. */
function framesFor(stream: number, request: Said, encode: (flat: string[]) => Buffer): (() => Buffer)[] {
  const fields = get(
    [
      ["x-stream", String(stream)],
      ["te", "trailers"],
    ],
    "/x",
  ).flat();
  const bare = request.body.length === 0 && !request.trailers;
  const frames = [() => blockFrames(stream, encode([...fields]), bare ? END_STREAM : 0, request)];
  const content = contentOf(stream, request);
  let at = 0;
  for (const [i, { size, padding }] of request.body.entries()) {
    const bytes = content.subarray(at, (at += size));
    const last = i === request.body.length - 1 && !request.trailers;
    const payload = padding < 0 ? bytes : Buffer.concat([Buffer.of(padding), bytes, Buffer.alloc(padding)]);
    const flags = (last ? END_STREAM : 0) | (padding < 0 ? 0 : 0x8);
    frames.push(() => Buffer.from(frame(DATA, flags, stream, payload)));
  }
  if (request.trailers) {
    frames.push(() =>
      blockFrames(stream, encode(["x-sum", String(content.byteLength)]), END_STREAM, request),
    );
  }
  return frames;
}

interface Heard {
  readonly fields: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
}

/** What came on each stream. */
function heardOf(frames: readonly SeenFrame[]): Map<number, Heard> {
  const decoder = new HpackDecoder({ headerBytes: 65_536, headerCount: 100 });
  const heard = new Map<number, Heard>();
  for (const { type, stream, payload } of frames) {
    const before = heard.get(stream) ?? { fields: [], body: Buffer.alloc(0), trailers: [] };
    if (type === HEADERS) {
      const flat = decoder.decode(payload);
      heard.set(
        stream,
        before.fields.length > 0 ? { ...before, trailers: flat } : { ...before, fields: flat },
      );
    } else if (type === DATA) heard.set(stream, { ...before, body: Buffer.concat([before.body, payload]) });
  }
  return heard;
}

/** Answers with what came: at once, or piece by piece as it comes. */
async function echo(inbound: Inbound): Promise<void> {
  const { body } = inbound;
  const stream = Number(inbound.headers.get("x-stream"));
  const headers = new HeaderList(["x-stream", String(stream)]);
  if (body === null || stream % 4 === 1) {
    const bytes = await collect(body, 1e9);
    void inbound.respond(200, headers, new BytesBody(bytes!, body?.trailers));
    return;
  }
  void inbound.respond(200, headers, stream % 8 === 3 ? passedOn(body) : body);
}

function passedOn(body: Body): Body {
  const queue = new BodyQueue({ pause() {}, resume() {}, cancelled() {} });
  void (async () => {
    for (let piece = await body.read(); piece !== null; piece = await body.read()) queue.push(piece);
    queue.end(body.trailers);
  })().catch((error: unknown) => queue.fail(error));
  return queue;
}

const session = fc.record({
  requests: fc.array(said, { minLength: 1, maxLength: 8 }),
  order: fc.array(fc.nat(7), { minLength: 1, maxLength: 40 }),
  noise: fc.array(noise, { minLength: 1, maxLength: 10 }),
  cuts: fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 9_000 })), {
    minLength: 1,
    maxLength: 20,
  }),
  whole: fc.boolean(),
});

test("whatever is sent on several streams at a time comes back on each, however it is mixed and cut", async () => {
  using served = await testListener(echo);
  await fc.assert(
    fc.asyncProperty(session, async ({ requests, order, noise: between, cuts, whole }) => {
      const encoder = new HpackEncoder();
      const encode = (flat: string[]): Buffer => {
        const out = new OutBuffer();
        encoder.encode(flat, out);
        return Buffer.from(out.bytes.subarray(0, out.end));
      };
      // Streams are opened in their order; what follows on each is mixed with the others.
      const queues = requests.map((request, i) => framesFor(2 * i + 1, request, encode));
      const bytes: Uint8Array[] = [];
      let opened = 0;
      for (let turn = 0; queues.some((queue) => queue.length > 0); turn++) {
        const wanted = queues[order[turn % order.length]! % queues.length]!;
        const queue = wanted.length > 0 ? wanted : queues.find((each) => each.length > 0)!;
        const next = queues.indexOf(queue) < opened ? queue : queues[opened++]!;
        bytes.push(next.shift()!());
        bytes.push(between[turn % between.length]!);
      }
      const all = hello(...bytes);
      const client = await served.connect("");
      if (whole) await client.send(all);
      else {
        for (let at = 0, i = 0; at < all.byteLength; i++) {
          const end = at + cuts[i % cuts.length]!;
          await client.send(all.subarray(at, end));
          at = end;
          // Now and then the server reads before there is more.
          if (i % 3 === 0 && i < 300) await new Promise((resolve) => setImmediate(resolve));
        }
      }
      const ends = () =>
        framesOf(client).filter(({ type, flags, stream }) => {
          return stream > 0 && type <= HEADERS && (flags & END_STREAM) !== 0;
        });
      await client.until(() => ends().length >= requests.length);
      const frames = framesOf(client);
      expect(frames.filter(({ type }) => type === GOAWAY || type === RST_STREAM)).toEqual([]);
      const heard = heardOf(frames);
      for (const [i, request] of requests.entries()) {
        const stream = 2 * i + 1;
        const { fields, body, trailers } = heard.get(stream)!;
        const content = contentOf(stream, request);
        expect(fields.slice(0, 2)).toEqual([":status", "200"]);
        expect(fields[fields.indexOf("x-stream") + 1]).toBe(String(stream));
        expect(Buffer.compare(body, content)).toBe(0);
        expect(trailers).toEqual(request.trailers ? ["x-sum", String(content.byteLength)] : []);
      }
      client.reset();
    }),
    { numRuns: 300 },
  );
}, 30_000);
