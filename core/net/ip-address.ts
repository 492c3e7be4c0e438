import ipaddr from "ipaddr.js";

/** An IPv4 address in dotted decimal as a number, or -1. Leading zeros are refused: some read them as octal. */
export function ipv4Number(text: string): number {
  const length = text.length;
  if (length < 7 || length > 15) return -1;
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) {
      if (octet === 0) return -1;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return -1;
    } else if (digit === -2 && octet >= 0 && dots < 3) {
      value = value * 256 + octet;
      octet = -1;
      dots++;
    } else return -1;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

/**
 * One spelling of an IP address, so that it can be compared and counted by: IPv4 as it is, IPv6 after RFC 5952,
 * an IPv4-mapped address as the IPv4 one, no zone. Undefined for what is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (ipv4Number(text) >= 0) return text;
  const address = parseIpv6(text);
  if (address === undefined) return undefined;
  // RFC 4291 §2.5.5.2: `::ffff:192.0.2.1` is how a socket for both families names an IPv4 peer.
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}

/** An IPv6 address, IPv4-mapped ones included; a zone is left out. Undefined for what is none. */
export function parseIpv6(text: string): ipaddr.IPv6 | undefined {
  if (!text.includes(":")) return undefined;
  const zone = text.indexOf("%");
  const bare = zone < 0 ? text : text.slice(0, zone);
  return ipaddr.IPv6.isValid(bare) ? ipaddr.IPv6.parse(bare) : undefined;
}
