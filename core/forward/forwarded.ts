/**
 * One element of `Forwarded` (RFC 7239 §4): who came, what host it named, over which scheme.
 * @param peer an IP address; anything else (a unix socket's peer has none) becomes `unknown` (§6.2).
 * @param authority as the client sent it; "" leaves `host` out.
 */
export function forwardedElement(peer: string, authority: string, scheme: "http" | "https"): string {
  if (peer === last.peer && authority === last.authority && scheme === last.scheme) return last.element;
  const host = authority === "" ? "" : `;host=${tokenOrQuoted(authority)}`;
  const element = `for=${node(peer)}${host};proto=${scheme}`;
  last = { peer, authority, scheme, element };
  return element;
}

// Connections stay, and so do load balancers: most requests come as the one before did.
let last = { peer: "", authority: "", scheme: "", element: "" };

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
