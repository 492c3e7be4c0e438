import type { ConnectionFacts } from "sluice/plugin";
import type { Wire, WireOwner } from "../http1/wire.ts";

/** One protocol behind the front: HTTP/1.1 or HTTP/2. The front hands it connections whose protocol is known. */
export interface ProtocolServer {
  /** Takes a connection over; the answer receives its events. `first` are the bytes read so far (may be empty). */
  accept(wire: Wire, facts: ConnectionFacts, first: Uint8Array): WireOwner;
  /**
   * No new request after those under way: `Connection: close` on HTTP/1.1 answers, GOAWAY on HTTP/2; idle
   * connections are closed. Takes effect for connections that are accepted later, too.
   */
  drain(): void;
  /** Closes every connection now, whatever it is doing. */
  destroy(): void;
  /** Connections that are open. */
  readonly connections: number;
}
