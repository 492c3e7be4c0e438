import { expect, test } from "bun:test";
import { FrameEventReader, type FrameEvents } from "./frame-events.ts";
import {
  ConnectionError,
  CONTINUATION,
  END_HEADERS,
  ENHANCE_YOUR_CALM,
  FRAME_HEADER,
  HEADERS,
  SETTINGS,
} from "./frames.ts";
import { OutBuffer } from "./out-buffer.ts";

const LIMITS = { headerBytes: 65_536, headerCount: 200, blockBytes: 40_000 };
const NOBODY: FrameEvents = {
  headers() {},
  body() {},
  reset() {},
  settings() {},
  ping() {},
  goaway() {},
  windowUpdate() {},
  streamError() {},
  idleFrame() {},
};

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const out = new OutBuffer(FRAME_HEADER + payload.byteLength);
  out.frame(payload.byteLength, type, flags, stream);
  out.append(payload);
  return Buffer.from(out.bytes.subarray(0, out.end));
}

const NONE = new Uint8Array(0);

function reader(): FrameEventReader {
  const made = new FrameEventReader(NOBODY, LIMITS);
  expect(made.greeted).toBe(false);
  made.push(frame(SETTINGS, 0, 0, NONE));
  expect(made.greeted).toBe(true);
  return made;
}

/** Header fields by their index alone: `:method: GET`, as often as it takes. */
function block(size: number): Buffer {
  return Buffer.alloc(size, 0x82);
}

test("a header block may be long or in pieces, not endless", () => {
  const long = [frame(HEADERS, 0, 1, block(16_000)), frame(CONTINUATION, 0, 1, block(16_000))];
  const read = reader();
  for (const bytes of long) {
    read.push(bytes);
    expect([read.inBlock, read.blocks]).toEqual([true, 0]);
  }
  read.push(frame(CONTINUATION, END_HEADERS, 1, block(100)));
  expect([read.inBlock, read.blocks]).toEqual([false, 1]);

  const endless = reader();
  for (const bytes of long) endless.push(bytes);
  expect(() => endless.push(long[1]!)).toThrow(ConnectionError);

  const empty = reader();
  empty.push(frame(HEADERS, 0, 1, NONE));
  let thrown: unknown;
  for (let i = 0; i < 1_000 && thrown === undefined; i++) {
    try {
      empty.push(frame(CONTINUATION, 0, 1, NONE));
    } catch (error) {
      thrown = error;
    }
  }
  expect(thrown).toMatchObject({ code: ENHANCE_YOUR_CALM, reason: "continuation_flood" });
});

test("a header block has begun with the header of its first frame", () => {
  const read = reader();
  const bytes = frame(HEADERS, END_HEADERS, 1, block(10));
  read.push(bytes.subarray(0, FRAME_HEADER - 1));
  expect(read.inBlock).toBe(false);
  read.push(bytes.subarray(FRAME_HEADER - 1, FRAME_HEADER + 3));
  expect(read.inBlock).toBe(true);
  read.push(bytes.subarray(FRAME_HEADER + 3));
  expect([read.inBlock, read.blocks]).toEqual([false, 1]);
});
