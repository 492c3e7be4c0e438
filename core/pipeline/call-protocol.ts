import type { CallProtocol, HeaderList } from "sluice/plugin";
import { isGrpcType } from "../http2/grpc-type.ts";

/**
 * Which protocol a caller speaks on top of HTTP: gRPC and gRPC-Web by their content types, Connect by its
 * streaming content types, its version header or the query of its GET form (connectrpc.com/docs/protocol).
 *
 * @param search the query with its `?`, or "".
 */
export function callProtocolOf(method: string, headers: HeaderList, search: string): CallProtocol {
  const type = headers.get("content-type");
  if (type === undefined) return method === "GET" && isConnectGet(search) ? "connect" : "http";
  if (/^application\/(?:grpc|connect)/i.test(type)) {
    if (isGrpcType(type)) return "grpc";
    if (/^application\/grpc-web(?:-text)?(?:$|[+; ])/i.test(type)) return "grpc-web";
    if (/^application\/connect\+/i.test(type)) return "connect";
  }
  return method === "POST" && headers.has("connect-protocol-version") ? "connect" : "http";
}

/** A call's content type without parameters; "" for Connect's GET form. */
export function callTypeOf(headers: HeaderList): string {
  const type = headers.get("content-type") ?? "";
  return type.split(";", 1)[0]!.trim();
}

/**
 * Whether a Connect call streams: its errors then travel in the body's last envelope, after a 200.
 * @param callType as {@link callTypeOf} answers it.
 */
export function isConnectStream(callType: string): boolean {
  return /^application\/connect\+/i.test(callType);
}

function isConnectGet(search: string): boolean {
  return search !== "" && /[?&]connect=v1(?:&|$)/.test(search);
}
