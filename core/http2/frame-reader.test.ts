import { expect, test } from "bun:test";
import fc from "fast-check";
import { FrameReader } from "./frame-reader.ts";
import { ConnectionError, FRAME_SIZE_ERROR, MAX_FRAME, OutBuffer } from "./frames.ts";

interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

function reader(): { frames: Seen[]; read: FrameReader } {
  const frames: Seen[] = [];
  const read = new FrameReader({
    frame: (type, flags, stream, payload) => void frames.push({ type, flags, stream, payload }),
  });
  return { frames, read };
}

const frame = fc.record({
  type: fc.nat(255),
  flags: fc.nat(255),
  stream: fc.nat(2 ** 31 - 1),
  payload: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
});

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
        expect(frames).toEqual(all);
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
