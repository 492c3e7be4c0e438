/*
 * The status codes of gRPC (grpc/doc/statuscodes.md) and of Connect (connectrpc.com/docs/protocol#error-codes),
 * which are the same list: Connect has a name and an HTTP status for each.
 */

interface RpcStatus {
  /** Connect's name of the code. */
  readonly name: string;
  /** The HTTP status of a Connect unary error. */
  readonly http: number;
}

const STATUSES: readonly RpcStatus[] = [
  { name: "ok", http: 200 },
  { name: "canceled", http: 499 },
  { name: "unknown", http: 500 },
  { name: "invalid_argument", http: 400 },
  { name: "deadline_exceeded", http: 504 },
  { name: "not_found", http: 404 },
  { name: "already_exists", http: 409 },
  { name: "permission_denied", http: 403 },
  { name: "resource_exhausted", http: 429 },
  { name: "failed_precondition", http: 400 },
  { name: "aborted", http: 409 },
  { name: "out_of_range", http: 400 },
  { name: "unimplemented", http: 501 },
  { name: "internal", http: 500 },
  { name: "unavailable", http: 503 },
  { name: "data_loss", http: 500 },
  { name: "unauthenticated", http: 401 },
];

const UNKNOWN = 2;

/** gRPC codes of HTTP statuses that a plugin may answer a call with. */
const GRPC_OF_HTTP: ReadonlyMap<number, number> = new Map([
  [400, 3],
  [401, 16],
  [403, 7],
  [404, 12],
  [405, 12],
  [408, 4],
  [409, 10],
  [412, 9],
  [413, 8],
  [414, 3],
  [415, 3],
  [422, 3],
  [429, 8],
  [431, 8],
  [499, 1],
  [500, 13],
  [501, 12],
  [502, 14],
  [503, 14],
  [504, 4],
]);

/** The gRPC code that says best what an HTTP status says; UNKNOWN where none does, as for a 200 that is no gRPC. */
export function grpcCodeOf(httpStatus: number): number {
  return GRPC_OF_HTTP.get(httpStatus) ?? UNKNOWN;
}

export function connectCodeOf(grpcCode: number): RpcStatus {
  return STATUSES[grpcCode] ?? STATUSES[UNKNOWN]!;
}

export function isConnectCode(name: unknown): boolean {
  return STATUSES.some((status, code) => code > 0 && status.name === name);
}

/** `grpc-message` in percent-encoding: UTF-8 bytes but for printable ASCII without `%` (gRPC over HTTP/2). */
export function encodeGrpcMessage(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let encoded = "";
  for (const byte of Buffer.from(message, "utf8")) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  return encoded;
}
