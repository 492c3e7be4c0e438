import { addressFromBytes, addressOfFamily, UNIX_PEER } from "./addresses.ts";

/*
 * The PROXY protocol (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt): what a load balancer puts
 * before the bytes of a connection to say whose connection it is.
 */

export interface ProxyEndpoint {
  /** In canonical form; `unix` for a unix socket. */
  readonly address: string;
  readonly port: number;
}

export interface ProxyHeader {
  /** Bytes that the header took; what follows them belongs to the connection. */
  readonly length: number;
  /**
   * Undefined where the header says nothing about the client (LOCAL, UNKNOWN, an unspecified family): the
   * socket's own addresses hold then.
   */
  readonly source: ProxyEndpoint | undefined;
  readonly destination: ProxyEndpoint | undefined;
}

/** What is wrong with a header, for the log. */
export interface ProxyFault {
  readonly fault: string;
}

/** A version 1 header is at most this long, CRLF included (§2.1). */
const V1_MAX = 107;
/** A version 2 header may say 64 KiB; what a balancer sends (addresses, TLS facts) is far below this. */
const V2_MAX = 16_384;
const V2_FIXED = 16;

const V1_SIGNATURE = latin1("PROXY ");
const V2_SIGNATURE = latin1("\r\n\r\n\0\r\nQUIT\n");

/** Address family and transport (§2.2) → bytes of one address, and of both with their ports. */
const FAMILIES: ReadonlyMap<number, { readonly size: number; readonly block: number }> = new Map([
  [0x11, { size: 4, block: 12 }],
  [0x21, { size: 16, block: 36 }],
  [0x31, { size: 108, block: 216 }],
]);

/** Reads the header at the start of `bytes`; undefined when more of it is to come. */
export function readProxyHeader(bytes: Uint8Array): ProxyHeader | ProxyFault | undefined {
  if (bytes.byteLength === 0) return undefined;
  if (startsLike(bytes, V2_SIGNATURE)) return readV2(bytes);
  if (startsLike(bytes, V1_SIGNATURE)) return readV1(bytes);
  return { fault: "the connection does not begin with a PROXY header" };
}

/** Whether both agree as far as the shorter one goes. */
function startsLike(bytes: Uint8Array, signature: Uint8Array): boolean {
  const length = Math.min(bytes.byteLength, signature.byteLength);
  for (let i = 0; i < length; i++) if (bytes[i] !== signature[i]) return false;
  return true;
}

function readV1(bytes: Uint8Array): ProxyHeader | ProxyFault | undefined {
  const end = bytes.subarray(0, V1_MAX).indexOf(0x0a);
  if (end < 0) return bytes.byteLength < V1_MAX ? undefined : { fault: "a version 1 header is too long" };
  const line = String.fromCharCode(...bytes.subarray(0, end));
  if (!line.endsWith("\r")) return { fault: "a version 1 header ends without CRLF" };
  const length = end + 1;
  const words = line.slice(0, -1).split(" ");
  if (words[1] === "UNKNOWN") return { length, source: undefined, destination: undefined };
  const family = words[1] === "TCP4" ? 4 : words[1] === "TCP6" ? 6 : undefined;
  if (family === undefined) return { fault: "a version 1 header of an unknown family" };
  if (words.length !== 6) return { fault: "a version 1 header without two addresses and two ports" };
  const source = endpoint(words[2]!, words[4]!, family);
  const destination = endpoint(words[3]!, words[5]!, family);
  if (source === undefined || destination === undefined) {
    return { fault: "a version 1 header with an illegal address or port" };
  }
  return { length, source, destination };
}

function endpoint(text: string, port: string, family: 4 | 6): ProxyEndpoint | undefined {
  const address = addressOfFamily(text, family);
  // §2.1: decimal, without leading zeros.
  if (address === undefined || !/^(?:0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > 65_535)
    return undefined;
  return { address, port: Number(port) };
}

function readV2(bytes: Uint8Array): ProxyHeader | ProxyFault | undefined {
  if (bytes.byteLength < V2_FIXED) return undefined;
  const version = bytes[12]! >> 4;
  const command = bytes[12]! & 0xf;
  if (version !== 2) return { fault: "a binary header of a version other than 2" };
  if (command > 1) return { fault: "a version 2 header with an unknown command" };
  const rest = (bytes[14]! << 8) | bytes[15]!;
  const length = V2_FIXED + rest;
  if (length > V2_MAX) return { fault: "a version 2 header is too long" };
  if (bytes.byteLength < length) return undefined;
  const unknown: ProxyHeader = { length, source: undefined, destination: undefined };
  // §2.2: LOCAL is the balancer's own connection, a health check; whatever else the header says is ignored.
  if (command === 0) return unknown;
  const body = bytes.subarray(V2_FIXED, length);
  if (bytes[13] === 0) return wellFormedTlvs(body) ? unknown : { fault: BAD_TLV };
  const family = FAMILIES.get(bytes[13]!);
  if (family === undefined) return { fault: "a version 2 header of a family other than TCP and unix stream" };
  if (body.byteLength < family.block) return { fault: "a version 2 header is too short for its addresses" };
  if (!wellFormedTlvs(body.subarray(family.block))) return { fault: BAD_TLV };
  if (family.size === 108) {
    const peer = { address: UNIX_PEER, port: 0 };
    return { length, source: peer, destination: peer };
  }
  const { size } = family;
  const ports = new DataView(body.buffer, body.byteOffset + size * 2, 4);
  return {
    length,
    source: { address: addressFromBytes(body.subarray(0, size)), port: ports.getUint16(0) },
    destination: { address: addressFromBytes(body.subarray(size, size * 2)), port: ports.getUint16(2) },
  };
}

const BAD_TLV = "a version 2 header with a broken TLV";

/** §2.2.7: type, length, value until the end; one that sticks out means that the lengths lie. */
function wellFormedTlvs(bytes: Uint8Array): boolean {
  let at = 0;
  while (at + 3 <= bytes.byteLength) at += 3 + ((bytes[at + 1]! << 8) | bytes[at + 2]!);
  return at === bytes.byteLength;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
