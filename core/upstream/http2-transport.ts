import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TargetConfig } from "../../config/types.ts";
import { Http2Connection } from "./http2-connection.ts";
import { Pool } from "./pool.ts";
import { pooledTransport, type TransportOptions } from "./pooled-transport.ts";
import type { TlsMaterial } from "./tls-material.ts";
import type { Transport } from "./transport.ts";

/** Streams that a connection is expected to carry before its peer has said (RFC 9113 §6.5.2 advises 100). */
const EXPECTED_STREAMS = 100;

/**
 * Speaks HTTP/2 to one target, gRPC included: prior knowledge in clear text and on unix sockets, ALPN `h2` over
 * TLS. A second connection is opened when the first carries as many streams as its peer allows.
 */
export function createHttp2Transport(options: TransportOptions): Transport {
  const dial = dialer(options.target, options.tls);
  const pool = new Pool({
    config: options.pool,
    clock: options.clock,
    perConnection: EXPECTED_STREAMS,
    connect: (self) => new Http2Connection(self, options.clock, dial()),
  });
  return pooledTransport(pool);
}

function dialer(target: TargetConfig, tls: TlsMaterial | undefined): () => Socket {
  const { host, port, socketPath } = target;
  if (socketPath !== undefined) return () => connectTcp({ path: socketPath });
  if (tls === undefined) return () => connectTcp({ host, port });
  const options = {
    host,
    port,
    ...(tls.ca && { ca: tls.ca }),
    ...(tls.cert && { cert: tls.cert }),
    ...(tls.key && { key: tls.key }),
    servername: tls.serverName ?? host,
    rejectUnauthorized: tls.verify,
    ALPNProtocols: ["h2"],
  };
  return () => connectTls(options);
}
