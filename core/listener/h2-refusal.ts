import { type Body, BytesBody, ERROR_CODES, type HeaderList } from "sluice/plugin";
import type { MessageError } from "../http1/message-error.ts";

/** The answer to a request that goes no further, in the caller's protocol. */
export interface H2Refusal {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Body | null;
}

/** @param answer as the gateway words it */
export function refusalOf(
  { code, message }: MessageError,
  grpc: boolean,
  answer: { readonly headers: HeaderList; readonly body: Uint8Array },
): H2Refusal {
  if (!grpc)
    return { status: ERROR_CODES[code].status, headers: answer.headers, body: new BytesBody(answer.body) };
  // Trailers-Only with a status, as gRPC over HTTP/2 has it: the answer's fields are its trailers.
  const headers = answer.headers.copy();
  headers.set("content-type", "application/grpc");
  headers.set("grpc-status", String(ERROR_CODES[code].grpc));
  headers.set("grpc-message", encodeURIComponent(message));
  return { status: 200, headers, body: null };
}
