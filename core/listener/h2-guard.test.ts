import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FRAME_SIZE_ERROR,
  HEADERS,
  PADDED,
  PREFACE,
  PROTOCOL_ERROR,
  RST_STREAM,
  SETTINGS,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import type { TakenField } from "../http2/long-strings.ts";
import { type GuardedSession, H2Guard } from "./h2-guard.ts";

const NONE = new Uint8Array(0);
const PING = 0x6;
const hello = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, NONE)]);
const reset = frame(RST_STREAM, 0, 1, Buffer.alloc(4));
const ping = frame(PING, 0, 0, Buffer.alloc(8));

function times(count: number, bytes: Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => bytes));
}

/** Stream 1 is open. */
const begun = Buffer.concat([hello, frame(HEADERS, END_HEADERS, 1, NONE)]);

/** Collects what passes. */
class Passed implements GuardedSession {
  readonly pieces: Buffer[] = [];
  taken: readonly TakenField[] | undefined;

  frames(bytes: Uint8Array, taken: readonly TakenField[] | undefined): void {
    this.pieces.push(Buffer.from(bytes));
    this.taken ??= taken;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

function guard(resets = 100, session: GuardedSession = new Passed()): H2Guard {
  const made = new H2Guard({ resets, blockBytes: 40_000 }, session);
  expect(made.inspect(begun, 1000)).toBeUndefined();
  return made;
}

test("resets run out, and come back by a twentieth a second", () => {
  const watched = guard();
  expect(watched.inspect(times(100, reset), 1000)).toBeUndefined();
  expect(watched.inspect(times(5, reset), 2000)).toBeUndefined();
  expect(watched.inspect(reset, 2000)).toMatchObject({
    h2Code: ENHANCE_YOUR_CALM,
    reason: "http2.reset_flood",
  });
  expect(watched.resetsSeen).toBe(106);
});

test("frames that carry nothing run out, come back with time, and are earned by answers", () => {
  const watched = guard();
  expect(watched.inspect(times(900, ping), 1000)).toBeUndefined();
  expect(watched.inspect(times(90, frame(DATA, 0, 1, NONE)), 1000)).toBeUndefined();
  expect(watched.inspect(times(100, ping), 2000)).toBeUndefined();
  for (let i = 0; i < 100; i++) watched.earn(2048);
  expect(watched.inspect(times(500, ping), 2000)).toBeUndefined();
  expect(watched.inspect(times(100, ping), 2000)).toMatchObject({ reason: "http2.frame_flood" });
});

test("requests, bodies and their ends are no flood", () => {
  const watched = guard();
  const request = Buffer.concat([
    frame(HEADERS, END_HEADERS, 1, Buffer.alloc(20)),
    frame(DATA, 0, 1, Buffer.alloc(100)),
    frame(DATA, END_STREAM, 1, NONE),
  ]);
  expect(watched.inspect(times(5000, request), 1000)).toBeUndefined();
});

test("a header block may be long or in pieces, not endless", () => {
  const long = [frame(HEADERS, 0, 1, Buffer.alloc(16_000)), frame(CONTINUATION, 0, 1, Buffer.alloc(16_000))];
  const watched = guard();
  expect(watched.inspect(Buffer.concat(long), 1000)).toBeUndefined();
  expect(watched.headSince).toBe(1000);
  expect(watched.inspect(frame(CONTINUATION, END_HEADERS, 1, Buffer.alloc(100)), 2000)).toBeUndefined();
  expect(watched.headSince).toBe(0);

  expect(guard().inspect(Buffer.concat([...long, long[1]!]), 1000)).toMatchObject({
    reason: "http2.continuation_flood",
  });
  const empty = times(1000, frame(CONTINUATION, 0, 1, NONE));
  expect(guard().inspect(Buffer.concat([frame(HEADERS, 0, 1, NONE), empty]), 1000)).toMatchObject({
    h2Code: ENHANCE_YOUR_CALM,
    reason: "http2.continuation_flood",
  });
});

test.each([
  ["another preface", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"), "http2.preface", PROTOCOL_ERROR],
  ["no SETTINGS", Buffer.concat([PREFACE, ping]), "http2.preface", PROTOCOL_ERROR],
  [
    "a long frame",
    Buffer.concat([begun, frame(DATA, 0, 1, Buffer.alloc(16_385))]),
    "http2.frame_size",
    FRAME_SIZE_ERROR,
  ],
  [
    "a lone CONTINUATION",
    Buffer.concat([hello, frame(CONTINUATION, 0, 1, NONE)]),
    "http2.continuation",
    PROTOCOL_ERROR,
  ],
  [
    "an interrupted block",
    Buffer.concat([hello, frame(HEADERS, 0, 1, NONE), ping]),
    "http2.continuation",
    PROTOCOL_ERROR,
  ],
])("%s ends the connection", (_name, bytes, reason, h2Code) => {
  const watched = new H2Guard({ resets: 100, blockBytes: 40_000 }, new Passed());
  expect(watched.inspect(bytes, 1000)).toMatchObject({ reason, h2Code });
});

test("how the bytes are cut makes no difference, and what passes is what came", () => {
  const frames = fc.array(
    fc.oneof(
      fc.nat(40).map((size) => frame(HEADERS, END_HEADERS, 7, Buffer.alloc(size))),
      fc
        .nat(40)
        .map((size) =>
          Buffer.concat([
            frame(HEADERS, 0, 9, Buffer.alloc(size)),
            frame(CONTINUATION, END_HEADERS, 9, Buffer.alloc(3)),
          ]),
        ),
      fc.nat(300).map((size) => frame(DATA, 0, 1, Buffer.alloc(size))),
      fc.nat(20).map((size) => frame(DATA, PADDED, 1, Buffer.alloc(size + 1, size))),
      fc.constant(frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0]))),
      fc.constant(reset),
      fc.constant(frame(HEADERS, 0, 3, NONE)),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (list, cuts) => {
      const bytes = Buffer.concat([begun, ...list]);
      const limits = { resets: 3, blockBytes: 1000 };
      const atOnce = new Passed();
      const whole = new H2Guard(limits, atOnce);
      const verdict = whole.inspect(bytes, 1000);
      const inPieces = new Passed();
      const pieces = new H2Guard(limits, inPieces);
      let found: unknown;
      for (let at = 0, i = 0; at < bytes.byteLength && found === undefined; i++) {
        const end = at + cuts[i % cuts.length]!;
        found = pieces.inspect(bytes.subarray(at, end), 1000);
        at = end;
      }
      expect(found).toEqual(verdict);
      if (verdict !== undefined) return;
      expect(pieces.lastStream).toBe(whole.lastStream);
      expect(pieces.opened).toBe(whole.opened);
      expect(inPieces.bytes).toEqual(atOnce.bytes);
      // A block without an end waits.
      expect(bytes.indexOf(atOnce.bytes)).toBe(0);
      expect(atOnce.pieces.length).toBeLessThanOrEqual(2);
      if (pieces.headSince === 0) expect(atOnce.bytes.byteLength).toBe(bytes.byteLength);
    }),
  );
});
