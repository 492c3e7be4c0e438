import { expect, test } from "bun:test";
import fc from "fast-check";
import { FrameReader } from "./frame-reader.ts";
import { ConnectionError, DATA, END_STREAM, FRAME_SIZE_ERROR, MAX_FRAME, PADDED } from "./frames.ts";
import { OutBuffer } from "./out-buffer.ts";

interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

function reader(): { frames: Seen[]; read: FrameReader } {
  const frames: Seen[] = [];
  const read = new FrameReader({
    frame(type, flags, stream, bytes, from, to) {
      frames.push({ type, flags, stream, payload: bytes.subarray(from, to) });
    },
  });
  return { frames, read };
}

const frame = fc.record({
  type: fc.oneof(fc.constant(DATA), fc.nat(255)),
  flags: fc.nat(255),
  stream: fc.nat(2 ** 31 - 1),
  payload: fc.uint8Array({ maxLength: 60 }).map((bytes) => {
    if (bytes.byteLength > 0) bytes[0] = bytes.byteLength;
    return Buffer.from(bytes);
  }),
});

/** DATA that came in parts, as it was sent. */
function joined(frames: readonly Seen[]): Seen[] {
  const whole: Seen[] = [];
  let open = false;
  for (const part of frames) {
    const fluid = part.type === DATA && (part.flags & PADDED) === 0 && part.payload.byteLength > 0;
    const last = whole.at(-1);
    if (open && last !== undefined) {
      expect([part.type, part.stream, part.flags & ~END_STREAM]).toEqual([
        DATA,
        last.stream,
        last.flags & ~END_STREAM,
      ]);
      whole[whole.length - 1] = { ...part, payload: Buffer.concat([last.payload, part.payload]) };
    } else whole.push(part);
    // The payload says here how long it is, in its first byte.
    const { payload } = whole.at(-1)!;
    open = fluid && payload.byteLength < payload[0]!;
  }
  return whole;
}

test("any frames cut anywhere come out whole and in order, and what was handed out stays as it was", () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 20 }),
      fc.array(fc.nat(1_500), { maxLength: 30 }),
      (all, cuts) => {
        const out = new OutBuffer(16);
        for (const { type, flags, stream, payload } of all) {
          out.frame(payload.byteLength, type, flags, stream);
          out.append(payload);
        }
        const bytes = out.bytes.subarray(0, out.end);
        const edges = [0, ...cuts.filter((cut) => cut < out.end).sort((a, b) => a - b), out.end];
        const { frames, read } = reader();
        for (let i = 1; i < edges.length; i++) read.push(Buffer.from(bytes.subarray(edges[i - 1], edges[i])));
        expect(joined(frames)).toEqual(all);
      },
    ),
  );
});

test("the reserved bit of a stream identifier is ignored (RFC 9113 §4.1)", () => {
  const { frames, read } = reader();
  read.push(Buffer.from("000000040080000001", "hex"));
  expect(frames[0]?.stream).toBe(1);
});

test("a frame above the limit is refused at its header, however that comes", () => {
  for (const step of [9, 1]) {
    const { read } = reader();
    const header = Buffer.from([0, (MAX_FRAME + 1) >> 8, (MAX_FRAME + 1) & 255, 0, 0, 0, 0, 0, 1]);
    const push = () => {
      for (let at = 0; at < 9; at += step) read.push(header.subarray(at, at + step));
    };
    expect(push).toThrow(ConnectionError);
    expect(FRAME_SIZE_ERROR).toBe(6);
  }
});

test("nothing comes after stop", () => {
  const frames: number[] = [];
  const read = new FrameReader({
    frame(type) {
      frames.push(type);
      read.stop();
    },
  });
  read.push(Buffer.from("000000010000000001000000020000000001", "hex"));
  expect(frames).toEqual([1]);
});
