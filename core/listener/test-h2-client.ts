import type { RawClient } from "../http1/test-server.ts";
import {
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  PREFACE,
  SETTINGS,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import type { TestListener } from "./test-listener.ts";

/* An HTTP/2 client that sends exactly the frames that it is told to, for this folder's tests. */

export type Fields = readonly (readonly [name: string, value: string])[];

export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const EMPTY = new Uint8Array(0);

/** A header block without compression (RFC 7541 §6.2.2). */
export function block(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.byteLength < 127) return Buffer.concat([Buffer.of(bytes.byteLength), bytes]);
  const length = [127];
  let rest = bytes.byteLength - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** The pseudo-headers of `GET /x`, and `more` behind them. */
export function get(more: Fields = [], path = "/x"): Fields {
  return [[":method", "GET"], [":path", path], [":scheme", "http"], [":authority", "a.test"], ...more];
}

/** HEADERS in one frame. Without `body` it ends the stream. */
export function headers(stream: number, fields: Fields, body = false): Uint8Array {
  return frame(HEADERS, END_HEADERS | (body ? 0 : END_STREAM), stream, block(fields));
}

/** Preface and SETTINGS; then what is given. */
export function hello(...frames: Uint8Array[]): Buffer {
  return Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, EMPTY), ...frames]);
}

/** Frames that arrived whole so far. */
export function framesOf(client: RawClient): SeenFrame[] {
  const bytes = Buffer.from(client.received, "latin1");
  const frames: SeenFrame[] = [];
  let at = 0;
  while (at + FRAME_HEADER <= bytes.byteLength) {
    const end = at + FRAME_HEADER + bytes.readUIntBE(at, 3);
    if (end > bytes.byteLength) break;
    const payload = bytes.subarray(at + FRAME_HEADER, end);
    const stream = bytes.readUInt32BE(at + 5);
    frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, stream, payload });
    at = end;
  }
  return frames;
}

/** Waits for the first frame that fits. Rejects if the connection ends without. */
export async function awaitFrame(client: RawClient, fits: (frame: SeenFrame) => boolean): Promise<SeenFrame> {
  await client.until(() => framesOf(client).some(fits));
  return framesOf(client).find(fits)!;
}

/** A client that has sent preface and SETTINGS, and these. */
export async function send(served: TestListener, ...frames: Uint8Array[]): Promise<RawClient> {
  return served.connect(hello(...frames).toString("latin1"));
}

/** The error code of the connection's GOAWAY. */
export async function goawayCode(client: RawClient): Promise<number> {
  const { payload } = await awaitFrame(client, ({ type }) => type === GOAWAY);
  return payload.readUInt32BE(4);
}

/** What came on a stream, as words. */
export function ofStream(client: RawClient, stream = 1): string[] {
  const names = ["DATA", "HEADERS", "", "RST_STREAM"];
  const seen = framesOf(client).filter((each) => each.stream === stream && names[each.type]);
  return seen.map(({ type, flags }) => names[type]! + ((flags & END_STREAM) !== 0 && type < 2 ? " end" : ""));
}
