import { FRAME_HEADER, GOAWAY, HTTP_1_1_REQUIRED, SETTINGS } from "../http2/frames.ts";

/* Whole frames of HTTP/2 for whom there is no connection of ours (RFC 9113 §4.1, §6). */

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
function goaway(lastStream: number, code: number, reason = ""): Uint8Array {
  const debug = new TextEncoder().encode(reason);
  const payload = new Uint8Array(8 + debug.byteLength);
  const view = new DataView(payload.buffer);
  view.setUint32(0, lastStream);
  view.setUint32(4, code);
  payload.set(debug, 8);
  return frame(GOAWAY, 0, 0, payload);
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
