import { BytesBody, type ExchangeResponse, HeaderList } from "sluice/plugin";
import { isConnectStream } from "./call-protocol.ts";
import type { GatewayExchange } from "./types.ts";
import { connectCodeOf, encodeGrpcMessage } from "./rpc-status.ts";

const encoder = new TextEncoder();

/** How a caller is spoken to, as its request was when it came. */
export type Caller = Pick<GatewayExchange, "protocol" | "callType">;

/**
 * An error in the form of the caller's RPC protocol. The protocol must not be `http`.
 *
 * @param code gRPC's.
 * @param message for the caller.
 */
export function rpcError({ protocol, callType }: Caller, code: number, message: string): ExchangeResponse {
  if (protocol === "connect") return connectError(callType, code, message);
  // Trailers-Only: everything in one header block, which ends the stream (gRPC over HTTP/2, Responses). gRPC-Web
  // has the same form in its headers.
  const type = protocol === "grpc" ? "application/grpc" : callType;
  const headers = new HeaderList(["content-type", type, "grpc-status", String(code)]);
  if (message !== "") headers.append("grpc-message", encodeGrpcMessage(message));
  return { status: 200, headers, body: null, source: "gateway" };
}

function connectError(callType: string, code: number, message: string): ExchangeResponse {
  const { name, http } = connectCodeOf(code);
  const error = { code: name, ...(message !== "" && { message }) };
  if (!isConnectStream(callType)) {
    const body = new BytesBody(encoder.encode(JSON.stringify(error)));
    return {
      status: http,
      headers: new HeaderList(["content-type", "application/json"]),
      body,
      source: "gateway",
    };
  }
  return {
    status: 200,
    headers: new HeaderList(["content-type", callType]),
    body: new BytesBody(endStream(encoder.encode(JSON.stringify({ error })))),
    source: "gateway",
  };
}

/** The last envelope of a Connect stream: flag 0x02, the length in four bytes, the message. */
function endStream(message: Uint8Array): Uint8Array {
  const envelope = new Uint8Array(5 + message.byteLength);
  envelope[0] = 0x02;
  new DataView(envelope.buffer).setUint32(1, message.byteLength);
  envelope.set(message, 5);
  return envelope;
}
