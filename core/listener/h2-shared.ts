import type { Clock, Log } from "sluice/plugin";
import type { Limits, ListenerProtocol } from "../../config/types.ts";
import type { HttpDate } from "./http-date.ts";
import type { GatewayHandler } from "./inbound.ts";

export interface Http2ServerOptions {
  readonly handler: GatewayHandler;
  /** Asked for each connection and each request, so that a reload takes effect. */
  readonly limits: () => Limits;
  /**
   * What is served: without `http2` only gRPC calls, without `grpc` everything else. Asked for each request.
   * @default both
   */
  readonly protocols?: () => readonly ListenerProtocol[];
  readonly clock: Clock;
  readonly log: Log;
}

/** What all connections of an HTTP/2 server have in common. */
export interface H2Shared extends Required<Http2ServerOptions> {
  readonly date: HttpDate;
  /** `clock.monotonic()` at the last sweep: for deadlines of seconds, without reading the clock a chunk. */
  readonly now: number;
}
