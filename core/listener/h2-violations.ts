import {
  ACK,
  ENABLE_PUSH,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  GOAWAY,
  INITIAL_WINDOW_SIZE,
  MAX_31,
  MAX_FRAME,
  MAX_FRAME_SIZE,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  SETTINGS,
  WINDOW_UPDATE,
} from "../http2/frames.ts";

/** Why a connection has to end. */
export interface Violation {
  /** Error code for GOAWAY. */
  readonly h2Code: number;
  /** Failure class for log and metrics, such as `http2.reset_flood`. */
  readonly reason: string;
  readonly message: string;
}

/** What no MAX_FRAME_SIZE may be above (RFC 9113 §6.5.2). */
const LARGEST_FRAME = 2 ** 24 - 1;

/** RFC 9113 §6.3 to §6.9: the stream and the size that a frame other than HEADERS and DATA must have. */
export function misplaced(
  type: number,
  flags: number,
  stream: number,
  length: number,
): Violation | undefined {
  switch (type) {
    case PRIORITY:
      if (stream === 0) return broken("stream_id", "PRIORITY of no stream");
      return length === 5 ? undefined : missized("PRIORITY of the wrong size");
    case SETTINGS:
      if (stream !== 0) return broken("stream_id", "SETTINGS of a stream");
      if ((flags & ACK) !== 0)
        return length === 0 ? undefined : missized("SETTINGS acknowledged with a payload");
      return length % 6 === 0 ? undefined : missized("SETTINGS of the wrong size");
    case PING:
      if (stream !== 0) return broken("stream_id", "PING of a stream");
      return length === 8 ? undefined : missized("PING of the wrong size");
    case GOAWAY:
      if (stream !== 0) return broken("stream_id", "GOAWAY of a stream");
      return length >= 8 ? undefined : missized("GOAWAY of the wrong size");
    case WINDOW_UPDATE:
      return length === 4 ? undefined : missized("WINDOW_UPDATE of the wrong size");
    default:
      // RFC 9113 §4.1: of unknown types nobody may complain.
      return undefined;
  }
}

/** RFC 9113 §6.5.2. @param bytes the frame's payload is `length` bytes of them, from `from` */
export function badSetting(bytes: Uint8Array, from: number, length: number): Violation | undefined {
  for (let at = from; at < from + length; at += 6) {
    const value = u32(bytes, at + 2);
    switch ((bytes[at]! << 8) | bytes[at + 1]!) {
      case ENABLE_PUSH:
        if (value > 1) return broken("settings", "ENABLE_PUSH is no flag");
        break;
      case INITIAL_WINDOW_SIZE:
        if (value > MAX_31) return breach(FLOW_CONTROL_ERROR, "settings", "INITIAL_WINDOW_SIZE is too large");
        break;
      case MAX_FRAME_SIZE:
        if (value < MAX_FRAME || value > LARGEST_FRAME) {
          return broken("settings", "MAX_FRAME_SIZE is out of its range");
        }
    }
  }
  return undefined;
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function calm(reason: string, message: string): Violation {
  return breach(ENHANCE_YOUR_CALM, reason, message);
}

export function broken(reason: string, message: string): Violation {
  return breach(PROTOCOL_ERROR, reason, message);
}

export function missized(message: string): Violation {
  return breach(FRAME_SIZE_ERROR, "frame_size", message);
}

/** @param reason without its `http2.` */
export function breach(h2Code: number, reason: string, message: string): Violation {
  return { h2Code, reason: `http2.${reason}`, message };
}
