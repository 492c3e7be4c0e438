import { isIPv4, isIPv6 } from "node:net";
import { domainToASCII } from "node:url";

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i;

/** A name of DNS labels (RFC 1123 §2.1; `_` is common in private zones), at most 253 characters. */
export function isHostName(text: string): boolean {
  if (text.length === 0 || text.length > 253) return false;
  const labels = text.split(".");
  // A last label of digits alone would be a malformed IPv4 address (WHATWG URL, "ends in a number").
  return labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!);
}

/**
 * A route's `host` in the form that requests are compared with: lower-case, international names in their ASCII
 * form (RFC 5891), IPv6 in brackets. Or what is wrong with it.
 */
export function normalHostPattern(text: string): { host: string } | string {
  if (text === "*") return "leave host out to match every host";
  if (/^\[.*\]$/.test(text)) {
    return isIPv6(text.slice(1, -1))
      ? { host: text.toLowerCase() }
      : "there is no IPv6 address in the brackets";
  }
  if (/:\d+$/.test(text)) return "a host is matched without its port";
  if (text.includes("/")) return "a host has neither a scheme nor a path";
  const wildcard = text.startsWith("*.");
  const name = wildcard ? text.slice(2) : text;
  if (name.includes("*")) return "a * stands only for the whole first label";
  if (!wildcard && isIPv4(name)) return { host: name };
  const ascii = domainToASCII(name).toLowerCase();
  if (!isHostName(ascii)) return "it is not a host name";
  return { host: wildcard ? `*.${ascii}` : ascii };
}
