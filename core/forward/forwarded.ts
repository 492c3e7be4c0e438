/**
 * One element of `Forwarded` (RFC 7239 §4): who came, what host it named, over which scheme.
 * @param peer an IP address; anything else (a unix socket's peer has none) becomes `unknown` (§6.2).
 * @param authority as the client sent it; "" leaves `host` out.
 */
export function forwardedElement(peer: string, authority: string, scheme: "http" | "https"): string {
  const host = authority === "" ? "" : `;host=${tokenOrQuoted(authority)}`;
  return `for=${node(peer)}${host};proto=${scheme}`;
}

// RFC 7239 §6: an IPv6 address stands in brackets, and the colons want quotes.
function node(peer: string): string {
  if (peer.includes(":")) return `"[${peer}]"`;
  const first = peer.charCodeAt(0);
  return first >= 0x30 && first <= 0x39 ? peer : "unknown";
}

// Most requests name the host that the one before named.
let lastText = "";
let lastWritten = '""';

function tokenOrQuoted(text: string): string {
  if (text === lastText) return lastWritten;
  lastText = text;
  lastWritten = /^[\w!#$%&'*+\-.^`|~]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
  return lastWritten;
}
