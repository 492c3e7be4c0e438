import { isAbsolute, resolve } from "node:path";
import { isIPv4, isIPv6 } from "node:net";
import { isHostName } from "./host-name.ts";
import type { Address } from "./types.ts";

/** The words for it in errors. */
export const ADDRESS_EXPECTED = "an address such as 127.0.0.1:8080, [::]:8080 or unix:/run/sluice.sock";

export const ADDRESS_PATTERN = "^(unix:.+|\\[[0-9A-Fa-f:.]+\\]:\\d+|[^\\s\\[\\]:/]+:\\d+)$";

/** `sun_path` of Linux holds 108 bytes, the last of which is NUL. */
const MAX_SOCKET_PATH = 107;

/**
 * `host:port`, `[::]:port` or `unix:/path`, or in words what is wrong with it. The host of an IPv6 address comes
 * without its brackets; port 0 lets the system choose.
 *
 * @param directory what a relative socket path is relative to.
 */
export function parseAddress(text: string, directory: string): Address | string {
  if (text.startsWith("unix:")) return parseSocket(text.slice(5), directory);
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (match === null) {
    if (isIPv6(text)) return "an IPv6 address stands in brackets, and the port is missing";
    return isIPv4(text) || isHostName(text) ? "the port is missing" : "it is not of the form host:port";
  }
  const port = Number(match[3]);
  if (port > 65_535) return "a port is at most 65535";
  const [, v6, name] = match;
  if (v6 !== undefined)
    return isIPv6(v6) ? { kind: "tcp", host: v6, port } : "there is no IPv6 address in the brackets";
  if (name === "") return "the host is missing; 0.0.0.0 is every IPv4 address, [::] every address";
  if (isIPv4(name!) || isHostName(name!)) return { kind: "tcp", host: name!, port };
  return "the host is neither a name nor an address";
}

function parseSocket(path: string, directory: string): Address | string {
  if (path === "" || path.endsWith("/") || path.includes("\0")) return "the socket's path is missing";
  if (!isAbsolute(path) && !path.startsWith("./") && !path.startsWith("../")) {
    return "a socket's path begins with /, ./ or ../";
  }
  const absolute = resolve(directory, path);
  if (Buffer.byteLength(absolute) > MAX_SOCKET_PATH)
    return `a socket's path has at most ${MAX_SOCKET_PATH} bytes`;
  return { kind: "unix", path: absolute };
}

/** The form that {@link parseAddress} reads back. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether only processes of this machine can connect. */
export function isLoopback(address: Address): boolean {
  if (address.kind === "unix") return true;
  const { host } = address;
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}
