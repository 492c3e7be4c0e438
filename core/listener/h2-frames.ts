/** Frames of HTTP/2 as bytes (RFC 9113 §4.1, §6): only what the guard reads and what goes out beside `node:http2`. */

export const FRAME_HEADER = 9;
/** SETTINGS_MAX_FRAME_SIZE stays at its default (RFC 9113 §6.5.2). */
export const MAX_FRAME = 16_384;

export const DATA = 0x0;
export const HEADERS = 0x1;
export const RST_STREAM = 0x3;
export const SETTINGS = 0x4;
export const GOAWAY = 0x7;
export const WINDOW_UPDATE = 0x8;
export const CONTINUATION = 0x9;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;

/** Error codes of RFC 9113 §7. */
export const NO_ERROR = 0x0;
export const PROTOCOL_ERROR = 0x1;
export const INTERNAL_ERROR = 0x2;
export const FLOW_CONTROL_ERROR = 0x3;
export const FRAME_SIZE_ERROR = 0x6;
export const CANCEL = 0x8;
export const COMPRESSION_ERROR = 0x9;
export const ENHANCE_YOUR_CALM = 0xb;
export const HTTP_1_1_REQUIRED = 0xd;

/** The highest stream identifier: in a GOAWAY it says "shutting down, no request is lost yet" (RFC 9113 §6.8). */
export const MAX_STREAM_ID = 2 ** 31 - 1;

/** What a client that knows HTTP/2 sends first (RFC 9113 §3.4). */
export const PREFACE: Uint8Array = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

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
