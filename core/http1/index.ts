/** The HTTP/1.1 codec: strict, incremental, for both directions; and the server side on top of it. */
export { BodyDecoder, type BodyDecoderOptions, type BodySink } from "./body-decoder.ts";
export { type BunWireHooks, bunSocketHandlers, BunWire } from "./bun-wire.ts";
export {
  copyOf,
  encodeChunk,
  type Encoded,
  encodeLastChunk,
  encodeRequest,
  encodeResponse,
  type RequestHeadParts,
  type ResponseHeadParts,
} from "./encoder.ts";
export { CHUNKED, type Framing, NO_BODY, UNTIL_CLOSE } from "./framing.ts";
export { MessageError } from "./message-error.ts";
export type { HeadLimits, RequestHead, RequestLimits, ResponseHead } from "./message-head.ts";
export { OwnedMemory } from "./owned-memory.ts";
export { RequestParser } from "./request-parser.ts";
export { ResponseParser } from "./response-parser.ts";
export { createHttp1Server, type Http1ServerOptions } from "./server.ts";
export type { Wire, WireOwner } from "./wire.ts";
export { WireWriter } from "./wire-writer.ts";
