/*
 * RFC 3986 §3.2 without userinfo, which RFC 9110 §4.2.4 forbids: a host of unreserved, escaped and sub-delim
 * characters or an IP literal in brackets, then perhaps a port.
 */
const AUTHORITY =
  /^(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{0,5}))?$/;

/** Whether a `Host` value is legal and names a host (RFC 9110 §4.2.1: an empty one is invalid for http). */
export function isAuthority(value: string): boolean {
  const match = AUTHORITY.exec(value);
  return match !== null && (match[1] === undefined || Number(match[1]) <= 65_535);
}

const SCHEME = /^https?:\/\//i;

/** Whether a request target is an absolute-form http URL (RFC 9112 §3.2.2). */
export function isAbsoluteForm(target: string): boolean {
  return SCHEME.test(target);
}

/** The authority of an absolute-form target. */
export function authorityOf(target: string): string {
  const start = target.indexOf("//") + 2;
  let end = start;
  while (end < target.length && target[end] !== "/" && target[end] !== "?") end++;
  return target.slice(start, end);
}

/** Whether an absolute-form target names the same host and port as `host`; hosts have no case. */
export function sameAuthority(target: string, host: string): boolean {
  const port = target[4] === ":" ? ":80" : ":443";
  return bare(authorityOf(target), port) === bare(host, port);
}

function bare(authority: string, defaultPort: string): string {
  const lower = authority.toLowerCase();
  if (lower.endsWith(defaultPort)) return lower.slice(0, -defaultPort.length);
  return lower.endsWith(":") ? lower.slice(0, -1) : lower;
}
