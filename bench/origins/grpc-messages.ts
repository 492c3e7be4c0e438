/*
 * The calls of the gRPC origin: `rpc Unary (Text) returns (Text)` and `rpc Stream (Empty) returns (stream Text)` of
 * bench.Echo, with `message Text { string text = 1; }`.
 */

export const UNARY = "/bench.Echo/Unary";
export const STREAM = "/bench.Echo/Stream";

/** A Text of 1,024 bytes: what `Unary` is asked with. */
export const UNARY_REQUEST: Uint8Array = text("q");
/** What it answers with, and `Stream` each time. */
export const ANSWER: Uint8Array = text("a");
/** An Empty. */
export const STREAM_REQUEST: Uint8Array = new Uint8Array(0);
/** Messages that `Stream` answers with. */
export const STREAM_LENGTH = 100;

/** A message as it goes over HTTP/2: not compressed, and its length before it. */
export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.byteLength);
  bytes.writeUInt32BE(message.byteLength, 1);
  bytes.set(message, 5);
  return bytes;
}

/** In DATA frames, of one right answer. */
export const UNARY_BYTES = framed(ANSWER).byteLength;
export const STREAM_BYTES = STREAM_LENGTH * UNARY_BYTES;

function text(letter: string): Uint8Array {
  const length = 1_024 - 3;
  // Field 1, length-delimited; its length as a varint of two bytes.
  return Buffer.from([0x0a, (length & 0x7f) | 0x80, length >> 7, ...Buffer.alloc(length, letter)]);
}
