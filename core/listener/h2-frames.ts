import { FRAME_HEADER, GOAWAY, HTTP_1_1_REQUIRED, SETTINGS } from "../http2/frames.ts";

/* Whole frames of HTTP/2 that go out beside `node:http2` (RFC 9113 §4.1, §6). */

/** One frame. @param payload up to {@link MAX_FRAME} bytes */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const length = payload.byteLength;
  const bytes = new Uint8Array(FRAME_HEADER + length);
  bytes[0] = length >> 16;
  bytes[1] = length >> 8;
  bytes[2] = length;
  bytes[3] = type;
  bytes[4] = flags;
  new DataView(bytes.buffer).setUint32(5, stream);
  bytes.set(payload, FRAME_HEADER);
  return bytes;
}

/** RFC 9113 §6.8. `reason` is debug data: for whoever looks at the wire. */
export function goaway(lastStream: number, code: number, reason = ""): Uint8Array {
  const debug = new TextEncoder().encode(reason);
  const payload = new Uint8Array(8 + debug.byteLength);
  const view = new DataView(payload.buffer);
  view.setUint32(0, lastStream);
  view.setUint32(4, code);
  payload.set(debug, 8);
  return frame(GOAWAY, 0, 0, payload);
}

/** Changes the value of a setting in the SETTINGS frame that `bytes` begin with (RFC 9113 §6.5.1). */
export function setSetting(bytes: Uint8Array, id: number, value: number): void {
  if (bytes[3] !== SETTINGS) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = FRAME_HEADER + ((bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!);
  for (let at = FRAME_HEADER; at < end; at += 6) if (view.getUint16(at) === id) view.setUint32(at + 2, value);
}

/**
 * The whole answer to a client that speaks HTTP/2 where only HTTP/1.1 is served: the SETTINGS that must come
 * first (RFC 9113 §3.4), then GOAWAY with HTTP_1_1_REQUIRED.
 */
export function http11Required(): Uint8Array {
  const settings = frame(SETTINGS, 0, 0, new Uint8Array(0));
  const last = goaway(0, HTTP_1_1_REQUIRED, "HTTP/2 is not served here");
  const bytes = new Uint8Array(settings.byteLength + last.byteLength);
  bytes.set(settings);
  bytes.set(last, settings.byteLength);
  return bytes;
}
