import { dialer } from "./dial.ts";
import { Http2Connection } from "./http2-connection.ts";
import { Span } from "./http2-span.ts";
import { Pool } from "./pool.ts";
import { pooledTransport, type TransportOptions } from "./pooled-transport.ts";
import type { Transport } from "./transport.ts";

/** Streams that a connection is expected to carry before its peer has said (RFC 9113 §6.5.2 advises 100). */
const EXPECTED_STREAMS = 100;

/**
 * Speaks HTTP/2 to one target, gRPC included: prior knowledge in clear text and on unix sockets, ALPN `h2` over
 * TLS. A second connection is opened when the first carries as many streams as its peer allows.
 */
export function createHttp2Transport(options: TransportOptions): Transport {
  const { target, tls, clock, pool } = options;
  const dial = dialer(target, tls, "h2", true);
  const span = new Span();
  return pooledTransport(
    new Pool({
      config: pool,
      clock,
      perConnection: EXPECTED_STREAMS,
      connect(self) {
        const connection = new Http2Connection(self, clock, span);
        dial(connection);
        return connection;
      },
    }),
  );
}
