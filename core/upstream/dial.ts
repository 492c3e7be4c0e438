import type { TargetConfig } from "../../config/types.ts";
import { type BunWire, bunSocketHandlers } from "../http1/index.ts";
import { WrongProtocol } from "./failures.ts";
import { serverNameOf, type TlsMaterial } from "./tls-material.ts";

/** A connection in the making. */
export interface Dialled {
  /** Its owner is this very object, until it is closed. */
  readonly wire: BunWire;
  /** TCP stands, and TLS with it where there is any. */
  opened(): void;
  /** It came to nothing; may be said more than once. */
  openingFailed(cause: unknown): void;
}

/**
 * How to connect to a target.
 * @param alpn the one protocol that is offered in TLS (RFC 7301)
 * @param strict whether the peer must have chosen it, too; where not, a peer that knows no ALPN will do
 */
export function dialer(
  target: TargetConfig,
  tls: TlsMaterial | undefined,
  alpn: string,
  strict: boolean,
): (dialled: Dialled) => void {
  const socket = bunSocketHandlers(
    tls === undefined
      ? { opened: (wire) => dialledOf(wire)?.opened() }
      : {
          opened() {},
          handshake(wire, authorized, error) {
            const dialled = dialledOf(wire);
            if (tls.verify && (!authorized || error !== null)) {
              dialled?.openingFailed(error ?? new Error("the certificate was not accepted"));
            } else if (strict && wire.socket?.alpnProtocol !== alpn) {
              dialled?.openingFailed(new WrongProtocol(`it does not take ${alpn} in TLS`));
            } else dialled?.opened();
          },
        },
  );
  const common = { socket, allowHalfOpen: true, ...(tls && { tls: tlsOptions(target, tls, alpn) }) };
  return (dialled) => {
    const data = dialled.wire;
    const connecting =
      target.socketPath === undefined
        ? Bun.connect<BunWire>({
            ...common,
            hostname: target.address ?? target.host,
            port: target.port,
            data,
          })
        : Bun.connect<BunWire>({ ...common, unix: target.socketPath, data });
    connecting.catch((error: unknown) => dialled.openingFailed(error));
  };
}

function tlsOptions(target: TargetConfig, tls: TlsMaterial, alpn: string) {
  const serverName = serverNameOf(tls, target);
  return {
    ...(tls.ca && { ca: tls.ca }),
    ...(tls.cert && { cert: tls.cert }),
    ...(tls.key && { key: tls.key }),
    ...(serverName !== undefined && { serverName }),
    rejectUnauthorized: tls.verify,
    // ALPN's wire format (RFC 7301 §3.1): the runtime takes no list of names here.
    ALPNProtocols: Buffer.from(String.fromCharCode(alpn.length) + alpn, "latin1"),
  };
}

function dialledOf(wire: BunWire): Dialled | undefined {
  // A closed wire has nobody as its owner.
  return "openingFailed" in wire.owner ? (wire.owner as unknown as Dialled) : undefined;
}
