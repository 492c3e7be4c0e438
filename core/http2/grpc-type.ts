/**
 * Whether a content type is gRPC's own: `application/grpc`, also with a codec (`+proto`) or parameters behind it. Not
 * gRPC-Web, and no other type that begins like it.
 */
export function isGrpcType(contentType: string): boolean {
  return /^application\/grpc(?:$|[+; ])/i.test(contentType);
}
