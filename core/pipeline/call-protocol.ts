import type { CallProtocol, HeaderList } from "sluice/plugin";

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
    if (/^application\/grpc(?:$|[+; ])/i.test(type)) return "grpc";
    if (/^application\/grpc-web(?:-text)?(?:$|[+; ])/i.test(type)) return "grpc-web";
    if (/^application\/connect\+/i.test(type)) return "connect";
  }
  return method === "POST" && headers.has("connect-protocol-version") ? "connect" : "http";
}

/** Whether a Connect call streams: its errors then travel in the body's last envelope, after a 200. */
export function isConnectStream(headers: HeaderList): boolean {
  return /^application\/connect\+/i.test(headers.get("content-type") ?? "");
}

function isConnectGet(search: string): boolean {
  return search !== "" && /[?&]connect=v1(?:&|$)/.test(search);
}
