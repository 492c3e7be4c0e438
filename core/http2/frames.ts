/** Frames of HTTP/2 (RFC 9113 §4.1, §6): their numbers, and how one breaks the protocol. */

export const FRAME_HEADER = 9;
/** The largest payload, where nobody agreed on more (RFC 9113 §6.5.2); neither side may ask for less. */
export const MAX_FRAME = 16_384;
/** The highest stream identifier, and the largest window (RFC 9113 §5.1.1, §6.9.1). */
export const MAX_31 = 2 ** 31 - 1;
/** Windows and the limit of a peer that has said nothing yet (RFC 9113 §6.9.2). */
export const DEFAULT_WINDOW = 65_535;

export const DATA = 0x0;
export const HEADERS = 0x1;
export const PRIORITY = 0x2;
export const RST_STREAM = 0x3;
export const SETTINGS = 0x4;
export const PUSH_PROMISE = 0x5;
export const PING = 0x6;
export const GOAWAY = 0x7;
export const WINDOW_UPDATE = 0x8;
export const CONTINUATION = 0x9;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const HAS_PRIORITY = 0x20;

/** Settings of RFC 9113 §6.5.2. */
export const HEADER_TABLE_SIZE = 0x1;
export const ENABLE_PUSH = 0x2;
export const MAX_CONCURRENT_STREAMS = 0x3;
export const INITIAL_WINDOW_SIZE = 0x4;
export const MAX_FRAME_SIZE = 0x5;
export const MAX_HEADER_LIST_SIZE = 0x6;

/** Error codes of RFC 9113 §7. */
export const NO_ERROR = 0x0;
export const PROTOCOL_ERROR = 0x1;
export const INTERNAL_ERROR = 0x2;
export const FLOW_CONTROL_ERROR = 0x3;
export const STREAM_CLOSED = 0x5;
export const FRAME_SIZE_ERROR = 0x6;
export const REFUSED_STREAM = 0x7;
export const CANCEL = 0x8;
export const COMPRESSION_ERROR = 0x9;
export const ENHANCE_YOUR_CALM = 0xb;
export const HTTP_1_1_REQUIRED = 0xd;

/** What a client sends first (RFC 9113 §3.4). */
export const PREFACE: Uint8Array = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** A breach of the protocol that ends the connection (RFC 9113 §5.4.1). */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** For GOAWAY. */
  readonly code: number;
  /** Failure class for log and metrics, such as `reset_flood`. */
  readonly reason: string;

  constructor(code: number, message: string, reason = "protocol") {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** A breach that ends one stream (RFC 9113 §5.4.2). */
export class StreamError extends Error {
  override readonly name = "StreamError";
  /** For RST_STREAM. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
