import { ConfigError } from "sluice/plugin";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import type { TargetConfig, UpstreamConfig } from "../../config/types.ts";

/** What TLS with an upstream needs, read and checked. */
export interface TlsMaterial {
  /** PEM; undefined trusts the platform's roots. */
  readonly ca: Buffer | undefined;
  /** PEM; for an upstream that asks for a client certificate. Both or none. */
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  /** For SNI, and the name that the certificate must bear; undefined is the target's host. */
  readonly serverName: string | undefined;
  /** Whether the upstream's certificate must be valid for its name. */
  readonly verify: boolean;
}

/**
 * Reads the files that an upstream's `tls` names.
 * @throws ConfigError naming the field, for a file that cannot be read or holds no usable PEM
 */
export function loadTls(upstream: UpstreamConfig): TlsMaterial {
  const tls = upstream.tls;
  const read = (field: "ca" | "cert" | "key") => {
    const path = tls?.[field];
    if (path === undefined) return undefined;
    return guarded(upstream, field, "cannot be read", () => readFileSync(path));
  };
  const ca = read("ca");
  const cert = read("cert");
  const key = read("key");
  if (ca !== undefined) {
    guarded(upstream, "ca", "holds no usable certificate", () => createSecureContext({ ca }));
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new ConfigError("a client certificate needs both cert and key", [
      "upstreams",
      upstream.name,
      "tls",
    ]);
  }
  if (cert !== undefined && key !== undefined) {
    guarded(upstream, "cert", "and key are no usable pair", () => createSecureContext({ cert, key }));
  }
  return { ca, cert, key, serverName: tls?.serverName, verify: tls?.verify ?? true };
}

/** The name for SNI. An address is none (RFC 6066 §3); the certificate is then held against the address. */
export function serverNameOf(tls: TlsMaterial, target: TargetConfig): string | undefined {
  return tls.serverName ?? (isIP(target.host) === 0 ? target.host : undefined);
}

function guarded<T>(upstream: UpstreamConfig, field: "ca" | "cert" | "key", what: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${upstream.tls?.[field]} ${what}: ${why}`, [
      "upstreams",
      upstream.name,
      "tls",
      field,
    ]);
  }
}
