import type { RawClient } from "../http1/test-server.ts";
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "../http2/frames.ts";
import { HpackDecoder } from "../http2/hpack-decoder.ts";
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

/** A setting with its value. */
export function setting(id: number, value: number): Uint8Array {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id);
  payload.writeUInt32BE(value, 2);
  return frame(SETTINGS, 0, 0, payload);
}

export function windowUpdate(stream: number, increment: number): Uint8Array {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(WINDOW_UPDATE, 0, stream, payload);
}

/** DATA with what is text here. */
export function data(stream: number, content: string | Uint8Array, end = false): Uint8Array {
  return frame(DATA, end ? END_STREAM : 0, stream, Buffer.from(content));
}

/** PING; `pong` waits until it was answered, and so everything before it was looked at. */
const PINGED = Buffer.from("are you?", "latin1");

export async function pong(client: RawClient): Promise<void> {
  const pongs = () => framesOf(client).filter(({ type, payload }) => type === PING && payload.equals(PINGED));
  const before = pongs().length;
  await client.send(frame(PING, 0, 0, PINGED));
  await client.until(() => pongs().length > before);
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

/** What the connection's first header block says, in one frame; of names that come twice the last. */
export function fieldsOf({ payload }: SeenFrame): Record<string, string> {
  const flat = new HpackDecoder({ headerBytes: 65_536, headerCount: 100 }).decode(payload);
  return Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]!]] : [])));
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

/** The error code that a stream was reset with. */
export async function resetCode(client: RawClient, stream = 1): Promise<number> {
  const seen = await awaitFrame(client, (each) => each.type === RST_STREAM && each.stream === stream);
  return seen.payload.readUInt32BE();
}

/** The body that came on a stream so far. */
export function contentOf(client: RawClient, stream = 1): string {
  const seen = framesOf(client).filter((each) => each.type === DATA && each.stream === stream);
  return seen.map(({ payload }) => payload.toString("latin1")).join("");
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
