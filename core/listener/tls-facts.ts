import type { PeerCertificate } from "node:tls";
import type { ClientCertificate, TlsFacts } from "sluice/plugin";

/** What both kinds of TLS socket tell about themselves after the handshake. */
export interface TlsState {
  readonly version: string | null;
  readonly cipher: { readonly name?: string } | null | undefined;
  readonly serverName: unknown;
  readonly alpn: unknown;
  /** Undefined where no client certificate was asked for, or it was not verified. */
  readonly certificate: PeerCertificate | undefined;
}

export function tlsFacts(state: TlsState): TlsFacts {
  return {
    version: state.version ?? "",
    cipher: state.cipher?.name ?? "",
    serverName:
      typeof state.serverName === "string" && state.serverName !== "" ? state.serverName : undefined,
    alpn: typeof state.alpn === "string" ? state.alpn : undefined,
    clientCertificate: state.certificate === undefined ? undefined : clientCertificate(state.certificate),
  };
}

function clientCertificate(certificate: PeerCertificate): ClientCertificate {
  return {
    subject: distinguishedName(certificate.subject),
    subjectAltNames: splitAltNames(certificate.subjectaltname ?? ""),
    fingerprint256: certificate.fingerprint256,
  };
}

/**
 * `CN=…, O=…`. What would read as a separator in a value is escaped (RFC 4514 §2.4): a name cannot pretend to
 * have a part more.
 */
function distinguishedName(subject: Readonly<Record<string, string | string[] | undefined>>): string {
  const parts: string[] = [];
  for (const [type, values] of Object.entries(subject)) {
    for (const value of [values ?? []].flat()) parts.push(`${type}=${value.replace(/[,+"\\<>;]/g, "\\$&")}`);
  }
  return parts.join(", ");
}

/** `DNS:a, URI:b` in parts. A name that holds a comma comes as a JSON string. */
export function splitAltNames(text: string): string[] {
  const names: string[] = [];
  const piece = /\s*([^:,"]+:)(?:"((?:[^"\\]|\\.)*)"|([^,]*))(?:,|$)/gy;
  for (let match = piece.exec(text); match !== null; match = piece.exec(text)) {
    const [, kind, quoted, plain] = match;
    names.push(kind + (quoted === undefined ? plain! : (JSON.parse(`"${quoted}"`) as string)));
  }
  return names;
}
