import type { Clock, Log } from "sluice/plugin";
import type { Limits } from "../../config/types.ts";
import type { HttpDate } from "../listener/http-date.ts";
import type { GatewayHandler } from "../listener/inbound.ts";

/** What the connections of one server share. */
export interface ConnectionHost<Connection> {
  readonly handler: GatewayHandler;
  readonly limits: () => Limits;
  readonly clock: Clock;
  readonly log: Log;
  readonly date: HttpDate;
  /** No connection is kept for another request. */
  readonly draining: boolean;
  /** The connection is gone. */
  released(connection: Connection): void;
}
