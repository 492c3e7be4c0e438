import { canonicalAddress } from "../../net/ip-address.ts";

/**
 * Whether `host` has to be looked up. Addresses need no look-up; neither do `localhost` and the names below it, which
 * mean the loopback address everywhere (RFC 6761 §6.3) and are connected to as they are.
 */
export function isName(host: string): boolean {
  return !isLocalhost(host) && canonicalAddress(host) === undefined;
}

export function isLocalhost(host: string): boolean {
  const name = bareName(host);
  return name === "localhost" || name.endsWith(".localhost");
}

/** One spelling of a name: lower-case (RFC 4343), without the dot that makes it absolute. */
export function bareName(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}
