import {
  ACK,
  COMPRESSION_ERROR,
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
  STREAM_CLOSED,
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

/** A client's word on how much it takes: WINDOW_UPDATE of a stream, or INITIAL_WINDOW_SIZE for all of them. */
export interface WindowChange {
  /** 0 for all. */
  readonly stream: number;
  /** The increment, or the new initial size. */
  readonly value: number;
}

/** What a window is reckoned from, besides the initial size. */
export interface StreamWindow {
  /** Sum of increments. */
  granted: number;
  /** Bytes of the answer that are sent or wait for it. */
  readonly used: number;
}

/**
 * RFC 9113 §6.9.2: a change of INITIAL_WINDOW_SIZE moves the windows of all open streams, and none may overflow. What
 * is not sent yet counts as used: a window may be taken for smaller than it is, never for larger. Takes `changes` out.
 */
export function overflow(
  changes: WindowChange[],
  open: ReadonlyMap<number, StreamWindow>,
): Violation | undefined {
  if (changes.length === 0) return undefined;
  for (const { stream, value } of changes.splice(0)) {
    if (stream !== 0) {
      const window = open.get(stream);
      if (window !== undefined) window.granted += value;
      continue;
    }
    for (const { granted, used } of open.values()) {
      if (value + granted - used > MAX_31) {
        return breach(FLOW_CONTROL_ERROR, "window", "INITIAL_WINDOW_SIZE makes a stream's window overflow");
      }
    }
  }
  return undefined;
}

/**
 * RFC 9113 §6.5.2.
 * @param bytes the frame's payload is `length` bytes of them, from `from`
 * @param windows gets what it says of them
 */
export function badSetting(
  bytes: Uint8Array,
  from: number,
  length: number,
  windows: WindowChange[],
): Violation | undefined {
  for (let at = from; at < from + length; at += 6) {
    const value = u32(bytes, at + 2);
    switch ((bytes[at]! << 8) | bytes[at + 1]!) {
      case ENABLE_PUSH:
        if (value > 1) return broken("settings", "ENABLE_PUSH is no flag");
        break;
      case INITIAL_WINDOW_SIZE:
        if (value > MAX_31) return breach(FLOW_CONTROL_ERROR, "settings", "INITIAL_WINDOW_SIZE is too large");
        windows.push({ stream: 0, value });
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

/**
 * Why `node:http2` gave a connection up; what else breaks the protocol the guard finds.
 * @param errno of the session's error
 * @param decoding whether it was given a header block last
 */
export function sessionFailure(errno: number | undefined, decoding: boolean): Violation {
  const code = errno === undefined ? ENHANCE_YOUR_CALM : CODES.get(errno);
  if (code === ENHANCE_YOUR_CALM) return calm("frame_flood", "too many frames that carry nothing");
  const otherwise = decoding ? COMPRESSION_ERROR : PROTOCOL_ERROR;
  return breach(code ?? otherwise, "protocol", "the client broke the protocol");
}

/** nghttp2's error numbers, which the runtime uses, as codes for GOAWAY. */
const CODES: ReadonlyMap<number, number> = new Map([
  [-510, STREAM_CLOSED],
  [-522, FRAME_SIZE_ERROR],
  [-523, COMPRESSION_ERROR],
  [-524, FLOW_CONTROL_ERROR],
  [-904, ENHANCE_YOUR_CALM],
]);
