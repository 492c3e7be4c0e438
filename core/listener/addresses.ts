import { canonicalAddress } from "../net/ip-address.ts";

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

/** Text that a peer wrote, in canonical form; undefined where it is no IP address of that family. */
export function addressOfFamily(text: string, family: 4 | 6): string | undefined {
  // A zone means nothing on another machine.
  if (text.includes(":") !== (family === 6) || text.includes("%")) return undefined;
  return canonicalAddress(text);
}

/** An address of 4 or 16 bytes as canonical text. */
export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.byteLength === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16));
  return canonicalAddress(groups.join(":")) ?? "";
}
