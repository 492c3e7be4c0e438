import {
  BytesBody,
  ERROR_CODES,
  type ErrorCode,
  type ExchangeResponse,
  HeaderList,
  type SluiceError,
} from "sluice/plugin";
import type { Rejection } from "../listener/inbound.ts";
import { rpcError } from "./rpc-error.ts";
import type { GatewayExchange } from "./types.ts";

const encoder = new TextEncoder();

/**
 * The answer that tells a caller of an error, in the protocol that it speaks: for plain HTTP
 * `{"error": {"code", "message", "reason", "request_id"}}`, for gRPC and gRPC-Web a Trailers-Only answer, for
 * Connect its JSON error or the end of its stream. Nothing of the error's cause is in it.
 */
export function errorResponse(exchange: GatewayExchange, error: SluiceError): ExchangeResponse {
  const response =
    exchange.protocol === "http"
      ? httpError(exchange, error)
      : rpcError(exchange, error.grpcStatus, error.message);
  for (const [name, value] of error.headers) {
    try {
      response.headers.append(name, value);
    } catch {
      // A plugin's error with a header that cannot be sent: the error itself must still arrive.
    }
  }
  return response;
}

/** What a codec sends for a request that it refused, which has no exchange and no known protocol. */
export function rejectionMessage(
  rejection: Pick<Rejection, "code" | "reason" | "message">,
  requestId: string,
): { readonly headers: HeaderList; readonly body: Uint8Array } {
  return {
    headers: new HeaderList(["content-type", "application/json"]),
    body: errorBody(rejection.code, rejection.message, rejection.reason, requestId),
  };
}

function httpError(exchange: GatewayExchange, error: SluiceError): ExchangeResponse {
  const headers = new HeaderList(["content-type", "application/json"]);
  const bytes = errorBody(error.code, error.message, error.reason, exchange.requestId);
  // RFC 9110 §9.3.2: an answer to HEAD says how long the body would have been.
  const isHead = exchange.request.method === "HEAD";
  if (isHead) headers.append("content-length", String(bytes.byteLength));
  const body = isHead ? null : new BytesBody(bytes);
  return { status: ERROR_CODES[error.code].status, headers, body, source: "gateway" };
}

function errorBody(code: ErrorCode, message: string, reason: string, requestId: string): Uint8Array {
  return encoder.encode(JSON.stringify({ error: { code, message, reason, request_id: requestId } }));
}
