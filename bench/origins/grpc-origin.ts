import type { Origin } from "../scenario.ts";
import { startOriginProcess } from "./origin-process.ts";

/** A gRPC server in clear text, with the methods of grpc-messages.ts; it looks at each byte that it is asked with. */
export function startGrpcOrigin(): Promise<Origin> {
  return startOriginProcess("grpc-server.ts");
}
