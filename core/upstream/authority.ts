import type { TargetConfig } from "../../config/types.ts";

/** A target's own name for `Host` and `:authority`: its port only where that is not the scheme's (RFC 9110 §4.2.3). */
export function authorityOfTarget({ scheme, host, port }: TargetConfig): string {
  if (scheme === "unix") return "localhost";
  const name = host.includes(":") ? `[${host}]` : host;
  return port === (scheme === "https" ? 443 : 80) ? name : `${name}:${port}`;
}
