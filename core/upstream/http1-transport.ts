import type { TargetConfig } from "../../config/types.ts";
import { type BunWire, bunSocketHandlers } from "../http1/index.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Pool } from "./pool.ts";
import { pooledTransport, type TransportOptions } from "./pooled-transport.ts";
import type { TlsMaterial } from "./tls-material.ts";
import type { Transport } from "./transport.ts";

/** Speaks HTTP/1.1 to one target over pooled connections: TCP, TLS or a unix socket. */
export function createHttp1Transport(options: TransportOptions): Transport {
  const dial = dialer(options.target, options.tls);
  const pool = new Pool({
    config: options.pool,
    clock: options.clock,
    perConnection: 1,
    connect(self) {
      const connection = new Http1Connection(self, options.clock);
      dial(connection);
      return connection;
    },
  });
  return pooledTransport(pool);
}

/** ALPN's wire format (RFC 7301 §3.1): a length and a name. */
const ALPN_HTTP1 = Buffer.from("\x08http/1.1", "latin1");

function dialer(target: TargetConfig, tls: TlsMaterial | undefined): (connection: Http1Connection) => void {
  const socket = bunSocketHandlers(
    tls === undefined
      ? { opened: (wire) => connectionOf(wire)?.opened() }
      : {
          opened() {},
          handshake(wire, authorized, error) {
            if (tls.verify && (!authorized || error !== null)) {
              connectionOf(wire)?.openingFailed(error ?? new Error("the certificate was not accepted"));
            } else connectionOf(wire)?.opened();
          },
        },
  );
  const secure =
    tls === undefined
      ? {}
      : {
          tls: {
            ...(tls.ca && { ca: tls.ca }),
            ...(tls.cert && { cert: tls.cert }),
            ...(tls.key && { key: tls.key }),
            serverName: tls.serverName ?? target.host,
            rejectUnauthorized: tls.verify,
            ALPNProtocols: ALPN_HTTP1,
          },
        };
  const common = { socket, allowHalfOpen: true, ...secure };
  return (connection) => {
    const data = connection.wire;
    const connecting =
      target.socketPath === undefined
        ? Bun.connect<BunWire>({ ...common, hostname: target.host, port: target.port, data })
        : Bun.connect<BunWire>({ ...common, unix: target.socketPath, data });
    connecting.catch((error: unknown) => connection.openingFailed(error));
  };
}

function connectionOf(wire: BunWire): Http1Connection | undefined {
  return wire.owner instanceof Http1Connection ? wire.owner : undefined;
}
