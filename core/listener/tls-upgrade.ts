import type { Socket, SocketHandler } from "bun";
import type { TlsFacts } from "sluice/plugin";
import type { BunWire } from "../http1/bun-wire.ts";
import { tlsFacts } from "./tls-facts.ts";
import type { TlsMaterial } from "./tls-material.ts";

/** What is offered by ALPN, in the order of preference (RFC 7301). */
export type Alpn = readonly ("h2" | "http/1.1")[];

/** The options of `upgradeTLS` for one certificate: made once a rotation, used for every connection. */
export interface TlsOptions {
  readonly material: TlsMaterial;
  readonly alpn: Alpn;
  /** As the runtime wants it. */
  readonly native: object;
}

export function tlsOptions(material: TlsMaterial, alpn: Alpn): TlsOptions {
  const native = {
    cert: material.cert,
    key: material.key,
    // Names with a length byte each, as on the wire: the runtime takes nothing else here.
    ALPNProtocols: Buffer.from(
      alpn.map((name) => String.fromCharCode(name.length) + name).join(""),
      "latin1",
    ),
    // A number here, unlike in node:tls.
    minVersion: material.minVersion === "1.3" ? 0x0304 : 0x0303,
    isServer: true,
    ...(material.clientCa === undefined
      ? {}
      : { ca: material.clientCa, requestCert: true, rejectUnauthorized: true }),
  };
  return { material, alpn, native };
}

/**
 * Lets an accepted socket go on in TLS, as the server. `wire` gets the decrypted connection. What was
 * read from the socket before is not seen by TLS, and cannot be given back to it. The encrypted bytes go on being
 * shown to the first socket's handlers, too: give its wire an owner that ignores them.
 */
export function upgradeToTls(
  socket: Socket<BunWire>,
  options: TlsOptions,
  wire: BunWire,
  handlers: SocketHandler<BunWire>,
): void {
  // `isServer` is missing from the runtime's types.
  const upgrade = { data: wire, tls: options.native, isServer: true, socket: handlers };
  socket.upgradeTLS(upgrade);
}

/** Facts after a handshake that succeeded; undefined for a client whose certificate was not verified. */
export function upgradedFacts(socket: Socket<BunWire>, options: TlsOptions): TlsFacts | undefined {
  const mutual = options.material.clientCa !== undefined;
  if (mutual && !socket.authorized) return undefined;
  return tlsFacts({
    version: socket.getTLSVersion(),
    cipher: socket.getCipher(),
    serverName: socket.getServername(),
    alpn: socket.alpnProtocol,
    certificate: mutual ? socket.getPeerCertificate() : undefined,
  });
}
