import ipaddr from "ipaddr.js";
import type { Address } from "../../config/types.ts";

/** What stands for the address of a peer on a unix socket. */
export const UNIX_PEER = "unix";

const MAPPED = "::ffff:";

/** A socket's address as it is compared and logged: an IPv4 address that came over IPv6 is an IPv4 address. */
export function plainAddress(address: string): string {
  // The kernel's text is canonical already; only mapped addresses need a change, and only those in dotted form.
  return address.startsWith(MAPPED) && address.includes(".") ? address.slice(MAPPED.length) : address;
}

/** Text that a peer wrote, in canonical form (RFC 5952); undefined where it is no IP address of that family. */
export function canonicalAddress(text: string, family: 4 | 6): string | undefined {
  if (family === 4) return ipaddr.IPv4.isValidFourPartDecimal(text) ? text : undefined;
  // A zone means nothing on another machine.
  if (text.includes("%") || !ipaddr.IPv6.isValid(text)) return undefined;
  return fromIpv6(ipaddr.IPv6.parse(text));
}

/** An address of 4 or 16 bytes as text, likewise. */
export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.byteLength === 4) return bytes.join(".");
  return fromIpv6(new ipaddr.IPv6([...bytes]));
}

function fromIpv6(address: ipaddr.IPv6): string {
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}

/** An address as an operator writes it: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/sluice.sock`. */
export function printAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
