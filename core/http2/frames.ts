/** Frames of HTTP/2 (RFC 9113 §4.1, §6): their numbers, and a buffer that they are written into. */

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
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Bytes on their way out; grows as needed. What is written stands behind what was written before. */
export class OutBuffer {
  bytes: Buffer;
  end = 0;

  constructor(size = 4_096) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    const needed = this.end + more;
    if (needed <= this.bytes.byteLength) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.bytes.byteLength * 2));
    this.bytes.copy(grown, 0, 0, this.end);
    this.bytes = grown;
  }

  /** Drops the first `count` bytes. */
  shift(count: number): void {
    this.bytes.copyWithin(0, count, this.end);
    this.end -= count;
  }

  byte(value: number): void {
    this.bytes[this.end++] = value;
  }

  u32(value: number): void {
    this.end = this.bytes.writeUInt32BE(value, this.end);
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.byteLength);
    this.bytes.set(bytes, this.end);
    this.end += bytes.byteLength;
  }

  /** A frame's header; reserves room for its payload, too. */
  frame(length: number, type: number, flags: number, stream: number): void {
    this.reserve(FRAME_HEADER + length);
    const { bytes, end } = this;
    bytes[end] = length >> 16;
    bytes[end + 1] = length >> 8;
    bytes[end + 2] = length;
    bytes[end + 3] = type;
    bytes[end + 4] = flags;
    bytes.writeUInt32BE(stream, end + 5);
    this.end = end + FRAME_HEADER;
  }
}
