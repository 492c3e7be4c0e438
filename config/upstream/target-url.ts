import { isAbsolute, resolve } from "node:path";
import { isIPv4, isIPv6 } from "node:net";
import { isHostName } from "../host-name.ts";
import type { TargetConfig } from "../types.ts";

/** The words for it in errors. */
export const TARGET_EXPECTED =
  "a URL such as http://127.0.0.1:9000, https://example.com/base or unix:/run/app.sock";

export const TARGET_PATTERN = "^(https?(\\+srv)?://|unix:).+";

/** What a URL alone says of a target. */
export type TargetUrl = Omit<TargetConfig, "weight" | "priority" | "address">;

/**
 * A target's URL taken apart, or in words what is wrong with it. The host of an IPv6 address comes without its
 * brackets; a unix target has the host `localhost` and port 0; one of SRV records (RFC 2782) has port 0.
 *
 * @param directory what a relative socket path is relative to.
 */
export function parseTarget(text: string, directory: string): TargetUrl | string {
  if (text.startsWith("unix:")) return parseUnix(text, directory);
  const [written, scheme, records] = (/^(https?)(\+srv)?:\/\//.exec(text) ?? []) as [
    string?,
    ("http" | "https")?,
    string?,
  ];
  if (written === undefined || scheme === undefined) {
    const other = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1];
    return other === undefined
      ? "the scheme is missing"
      : "the scheme is none of http, https, http+srv, https+srv and unix";
  }
  const srv = records !== undefined;
  const rest = text.slice(written.length);
  const [authority = ""] = /^[^/?#]*/.exec(rest) ?? [];
  if (/[?#]/.test(rest)) return "a target has neither a query nor a fragment";
  if (authority.includes("@")) return "a target's URL holds no credentials";
  const match = /^(?:\[([^\]]*)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(authority);
  if (match === null) return "it has no valid host and port";
  const [, v6, name, digits] = match;
  const host = v6 ?? name!;
  if (v6 === undefined ? !isIPv4(host) && !isHostName(host) : !isIPv6(host)) return "it has no valid host";
  const fault = srv ? recordsFault(host, digits) : undefined;
  if (fault !== undefined) return fault;
  const port = digits === undefined ? (scheme === "https" ? 443 : 80) : Number(digits);
  if (port < 1 || port > 65_535) return "a port is between 1 and 65535";
  const basePath = rest.slice(authority.length).replace(/\/+$/, "");
  const wrong = basePathFault(basePath);
  if (wrong !== undefined) return wrong;
  const url = text.replace(/\/+$/, "");
  return { url, scheme, host, port: srv ? 0 : port, socketPath: undefined, basePath, srv };
}

function recordsFault(name: string, port: string | undefined): string | undefined {
  if (!name.startsWith("_")) return "the name of SRV records begins with _, as in _http._tcp.example.com";
  return port === undefined ? undefined : "it has a port, which SRV records bring themselves";
}

function parseUnix(text: string, directory: string): TargetUrl | string {
  const path = text.slice(5);
  if (path === "" || path.endsWith("/") || path.includes("\0")) return "the socket's path is missing";
  if (!isAbsolute(path) && !path.startsWith("./") && !path.startsWith("../")) {
    return "a socket's path begins with /, ./ or ../";
  }
  const socketPath = resolve(directory, path);
  return { url: text, scheme: "unix", host: "localhost", port: 0, socketPath, basePath: "", srv: false };
}

function basePathFault(path: string): string | undefined {
  if (!/^[\x21-\x7e]*$/.test(path) || /["<>\\^`{|}]/.test(path))
    return "its path holds characters that need an escape";
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return "its path holds an invalid escape";
  const dots = path.split("/").some((segment) => /^(\.|%2e){1,2}$/i.test(segment));
  return dots ? "its path holds . or .. segments" : undefined;
}
