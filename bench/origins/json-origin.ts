import type { Origin } from "../scenario.ts";
import { startOriginProcess } from "./origin-process.ts";

/** A server of JSON calls: POST to any path, `JSON_REQUEST` in, `JSON_ANSWER` out (see json-messages.ts). */
export function startJsonOrigin(): Promise<Origin> {
  return startOriginProcess("json-server.ts");
}
