import type { Origin } from "../scenario.ts";
import { startOriginProcess } from "./origin-process.ts";

/**
 * A server of event streams: `/events?count=200&every=5` sends so many events (see sse-events.ts), so many
 * milliseconds apart, each with a write of its own; the first with the head. `/hold` sends one and is silent then, until
 * the client goes.
 */
export function startSseOrigin(): Promise<Origin> {
  return startOriginProcess("sse-server.ts");
}
