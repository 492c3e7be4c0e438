import ipaddr from "ipaddr.js";
import { ipv4Number, parseIpv6 } from "./ip-address.ts";

/** Whether an address (or `unix`, for the peer on a unix socket) is trusted. */
export type Trust = (address: string) => boolean;

/** Verdicts on IPv6 addresses that are remembered; then it is begun anew. */
const REMEMBERED = 4_096;

interface Ipv4Range {
  readonly base: number;
  readonly mask: number;
}

/**
 * Compiles `trusted_proxies`. An IPv4-mapped IPv6 address counts as the IPv4 one, on both sides. A peer on a
 * unix socket has no address: it is trusted only where the word `unix` is listed.
 * @param networks CIDRs, single addresses, or `unix`.
 * @throws TypeError for anything else.
 */
export function compileTrust(networks: readonly string[]): Trust {
  if (networks.length === 0) return () => false;
  const trustsUnix = networks.includes("unix");
  const ipv4: Ipv4Range[] = [];
  const ipv6: [ipaddr.IPv6, number][] = [];
  for (const network of networks) if (network !== "unix") addRange(network, ipv4, ipv6);

  // IPv6 addresses are costly to read; behind a proxy the same few come again and again.
  const verdicts = new Map<string, boolean>();

  function lookAt(address: string): boolean {
    const parsed = parseIpv6(address);
    if (parsed === undefined) return false;
    if (parsed.isIPv4MappedAddress()) return isInRange(ipv4, ipv4Number(parsed.toIPv4Address().toString()));
    return ipv6.some((range) => parsed.match(range));
  }

  return (address) => {
    const number = ipv4Number(address);
    if (number >= 0) return isInRange(ipv4, number);
    if (address === "unix") return trustsUnix;
    let verdict = verdicts.get(address);
    if (verdict === undefined) {
      verdict = lookAt(address);
      if (verdicts.size >= REMEMBERED) verdicts.clear();
      verdicts.set(address, verdict);
    }
    return verdict;
  };
}

function isInRange(ranges: readonly Ipv4Range[], address: number): boolean {
  // Bitwise operators work on 32-bit integers, so the mask brings both sides to one sign.
  for (const { base, mask } of ranges) if ((address & mask) === base) return true;
  return false;
}

function addRange(network: string, ipv4: Ipv4Range[], ipv6: [ipaddr.IPv6, number][]): void {
  const [address, bits] = parse(network);
  if (address instanceof ipaddr.IPv4) {
    ipv4.push(ipv4Range(address, bits));
  } else if (address.isIPv4MappedAddress() && bits >= 96) {
    ipv4.push(ipv4Range(address.toIPv4Address(), bits - 96));
  } else {
    ipv6.push([address, bits]);
  }
}

function ipv4Range(address: ipaddr.IPv4, bits: number): Ipv4Range {
  // A shift by 32 is a shift by 0.
  const mask = bits === 0 ? 0 : -1 << (32 - bits);
  return { base: ipv4Number(address.toString()) & mask, mask };
}

function parse(network: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  if (ipaddr.isValidCIDR(network)) return ipaddr.parseCIDR(network);
  if (!ipaddr.isValid(network)) throw new TypeError(`${JSON.stringify(network)} is no network`);
  const address = ipaddr.parse(network);
  return [address, address instanceof ipaddr.IPv4 ? 32 : 128];
}
