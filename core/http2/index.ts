/** HTTP/2 as bytes: frames (RFC 9113) and header compression (RFC 7541). What they mean is their users' business. */
export { isConnectionSpecific } from "./connection-fields.ts";
export { PADDED_VALUE, TOO_LARGE } from "./field-flaws.ts";
export { FrameBody } from "./frame-body.ts";
export { type FrameEvents, FrameEventReader, type ReadLimits } from "./frame-events.ts";
export { type ByteSink, FrameWriter } from "./frame-writer.ts";
export * from "./frames.ts";
export { isGrpcType } from "./grpc-type.ts";
export { OutBuffer } from "./out-buffer.ts";
export { type RoomSeeker, SendRoom } from "./send-room.ts";
export { permittedTrailers } from "./trailers.ts";
