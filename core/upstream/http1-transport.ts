import { dialer } from "./dial.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Pool } from "./pool.ts";
import { pooledTransport, type TransportOptions } from "./pooled-transport.ts";
import type { Transport } from "./transport.ts";

/** Speaks HTTP/1.1 to one target over pooled connections: TCP, TLS or a unix socket. */
export function createHttp1Transport(options: TransportOptions): Transport {
  const { target, tls, clock, pool } = options;
  const dial = dialer(target, tls, "http/1.1", false);
  return pooledTransport(
    new Pool({
      config: pool,
      clock,
      perConnection: 1,
      connect(self) {
        const connection = new Http1Connection(self, clock);
        dial(connection);
        return connection;
      },
    }),
  );
}
