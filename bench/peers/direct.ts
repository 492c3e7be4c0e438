import type { Peer } from "../peer.ts";

/** Nobody between: what the load generator and the origin need themselves. */
export const peer: Peer = {
  name: "direct",
  version: () => Promise.resolve(""),
  serves: { http: () => null, json: () => null, sse: () => null, grpc: () => null, pipeline: () => null },
};
