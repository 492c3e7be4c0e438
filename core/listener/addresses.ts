import { isIPv4, isIPv6 } from "node:net";

/** What stands for the address of a peer on a unix socket. */
export const UNIX_PEER = "unix";

const MAPPED = "::ffff:";

/**
 * A socket's address as it is compared and logged: an IPv4 address that came over IPv6 is an IPv4 address. A socket
 * that is closed already has none: "".
 */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  // The kernel's text is canonical already; only mapped addresses need a change, and they come in dotted form.
  return address.startsWith(MAPPED) && address.includes(".") ? address.slice(MAPPED.length) : address;
}

/** Text that a peer wrote, in canonical form (RFC 5952); undefined where it is no IP address of that family. */
export function canonicalAddress(text: string, family: 4 | 6): string | undefined {
  if (family === 4) return isIPv4(text) ? text : undefined;
  // A zone means nothing on another machine.
  return isIPv6(text) && !text.includes("%") ? canonicalIpv6(text) : undefined;
}

/** An address of 4 or 16 bytes as text, likewise. */
export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.byteLength === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16));
  return canonicalIpv6(groups.join(":"));
}

function canonicalIpv6(text: string): string {
  // URLs serialise IPv6 as RFC 5952 has it (https://url.spec.whatwg.org/#concept-ipv6-serializer).
  const address = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address);
  if (mapped === null) return address;
  const high = Number.parseInt(mapped[1]!, 16);
  const low = Number.parseInt(mapped[2]!, 16);
  return `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`;
}
