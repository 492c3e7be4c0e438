import type { Clock, ConnectionFacts, Log } from "sluice/plugin";
import { HttpDate } from "../listener/http-date.ts";
import type { GatewayHandler } from "../listener/inbound.ts";
import type { ProtocolServer } from "../listener/protocol-server.ts";
import { Http1Connection } from "./connection.ts";
import type { Limits } from "../../config/types.ts";
import { Sweeper } from "./deadlines.ts";
import type { Wire, WireOwner } from "./wire.ts";

export interface Http1ServerOptions {
  readonly handler: GatewayHandler;
  /** Asked for each connection and each request, so that a reload takes effect. */
  readonly limits: () => Limits;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The HTTP/1.1 server behind the front. It holds one timer while connections are open and nothing otherwise:
 * there is nothing to close.
 */
export function createHttp1Server(options: Http1ServerOptions): ProtocolServer {
  const { handler, limits, clock, log } = options;
  const open = new Set<Http1Connection>();
  const sweeper = new Sweeper(clock, limits);
  const host = {
    handler,
    limits,
    clock,
    log,
    date: new HttpDate(clock),
    draining: false,
    released(connection: Http1Connection): void {
      open.delete(connection);
      sweeper.delete(connection);
    },
  };
  return {
    accept(wire: Wire, facts: ConnectionFacts, first: Uint8Array): WireOwner {
      const connection = new Http1Connection(host, wire, facts);
      open.add(connection);
      sweeper.add(connection);
      if (first.byteLength > 0) connection.data(first);
      return connection;
    },
    drain(): void {
      host.draining = true;
      for (const connection of open) connection.drain();
    },
    destroy(): void {
      for (const connection of open) connection.destroy();
    },
    get connections() {
      return open.size;
    },
  };
}
