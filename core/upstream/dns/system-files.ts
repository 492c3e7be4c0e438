import { canonicalAddress } from "../../net/ip-address.ts";
import { bareName } from "./is-name.ts";

/** The addresses that a hosts file (hosts(5)) has for a name or an alias, in its order. */
export function hostsAddresses(text: string, name: string): string[] {
  const wanted = bareName(name);
  const addresses: string[] = [];
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (canonicalAddress(address) !== undefined && names.some((one) => bareName(one) === wanted)) {
      addresses.push(address);
    }
  }
  return addresses;
}

/** What `/etc/resolv.conf` (resolv.conf(5)) says on names that are not absolute. */
export interface SearchRules {
  readonly domains: readonly string[];
  /** Dots from which on a name is first taken as absolute. @default 1 */
  readonly ndots: number;
}

export function searchRules(text: string): SearchRules {
  let domains: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    // The last of either counts.
    if (keyword === "search") domains = values;
    else if (keyword === "domain") domains = values.slice(0, 1);
    else if (keyword === "options") {
      for (const value of values) {
        const digits = /^ndots:(\d{1,9})$/.exec(value)?.[1];
        if (digits !== undefined) ndots = Math.min(15, Number(digits));
      }
    }
  }
  return { domains: domains.map(bareName).filter((domain) => domain !== ""), ndots };
}

/** The absolute names that a name may stand for, the likeliest first. */
export function absoluteNames(name: string, { domains, ndots }: SearchRules): string[] {
  if (name.endsWith(".")) return [name];
  const searched = domains.map((domain) => `${name}.${domain}`);
  const dots = name.split(".").length - 1;
  return dots >= ndots ? [name, ...searched] : [...searched, name];
}
