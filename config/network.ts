import ipaddr from "ipaddr.js";

/** The words for it in errors. */
export const NETWORK_EXPECTED = "a network such as 10.0.0.0/8 or ::1/128";

/** A CIDR as written; a single address gets the prefix length that means itself. Undefined for neither. */
export function parseNetwork(text: string): string | undefined {
  // ipaddr.js also reads octal and shortened IPv4 forms, which two readers may understand differently.
  const [address = "", prefix] = text.split("/");
  const v4 = ipaddr.IPv4.isValidFourPartDecimal(address);
  if (!v4 && (!ipaddr.IPv6.isValid(address) || address.includes("%"))) return undefined;
  if (prefix === undefined) return `${address}/${v4 ? 32 : 128}`;
  return /^\d{1,3}$/.test(prefix) && ipaddr.isValidCIDR(text) ? text : undefined;
}

/** Whether the network holds every address of its family. */
export function isEverything(network: string): boolean {
  return network.endsWith("/0");
}
