/** HTTP/2 as bytes: frames (RFC 9113) and header compression (RFC 7541). What they mean is their users' business. */
export { type FrameEvents, FrameEventReader, FREED_INPUT } from "./frame-events.ts";
export { type ByteSink, FrameWriter } from "./frame-writer.ts";
export * from "./frames.ts";
export { isGrpcType } from "./grpc-type.ts";
export type { FieldLimits } from "./hpack-decoder.ts";
export { permittedTrailers } from "./trailers.ts";
