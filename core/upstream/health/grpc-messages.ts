/*
 * The two messages of grpc.health.v1 by their field numbers, each in gRPC's envelope of a flag byte and four bytes of
 * length (PROTOCOL-HTTP2, "Length-Prefixed-Message").
 */

const ENVELOPE = 5;

// Wire types (protobuf.dev/programming-guides/encoding).
const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** `HealthCheckRequest { string service = 1; }`, uncompressed. "" is the server as a whole. */
export function healthCheckRequest(service: string): Uint8Array {
  const name = Buffer.from(service, "utf8");
  // A proto3 default is not sent.
  const message = name.byteLength === 0 ? name : Buffer.concat([tagged(1, name.byteLength), name]);
  const framed = Buffer.alloc(ENVELOPE + message.byteLength);
  framed.writeUInt32BE(message.byteLength, 1);
  framed.set(message, ENVELOPE);
  return framed;
}

function tagged(field: number, length: number): Buffer {
  const bytes = [(field << 3) | DELIMITED];
  for (; length > 0x7f; length >>>= 7) bytes.push((length & 0x7f) | 0x80);
  bytes.push(length);
  return Buffer.from(bytes);
}

/** `status = 1` of one `HealthCheckResponse`; undefined where the bytes are none, or compressed, which nobody asked for. */
export function servingStatus(body: Buffer): number | undefined {
  if (body.byteLength < ENVELOPE || body[0] !== 0 || body.readUInt32BE(1) !== body.byteLength - ENVELOPE)
    return undefined;
  const reader = new Varints(body, ENVELOPE);
  let status = 0;
  while (reader.at < body.byteLength) {
    const tag = reader.next();
    if (tag >>> 3 === 0) return undefined;
    switch (tag & 7) {
      case VARINT: {
        const value = reader.next();
        if (tag >>> 3 === 1) status = value;
        break;
      }
      case FIXED64:
        reader.at += 8;
        break;
      case DELIMITED: {
        // Two statements: the length is read before what it is added to.
        const length = reader.next();
        reader.at += length;
        break;
      }
      case FIXED32:
        reader.at += 4;
        break;
      default:
        return undefined;
    }
  }
  // A field that reaches beyond the end leaves the reader there.
  return reader.at === body.byteLength ? status : undefined;
}

class Varints {
  at: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** The lower 32 bits of a varint, unsigned. One that has no end leaves `at` beyond the bytes. */
  next(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) break;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    this.at = Infinity;
    return 0;
  }
}
