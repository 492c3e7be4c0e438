import { expectEdge } from "../harness/check.ts";
import { atRate } from "../harness/latency.ts";
import { runWrk } from "../load/wrk.ts";
import { KB_1, startHttpOrigin } from "../origins/http-origin.ts";
import type { Scenario } from "../scenario.ts";

const RATE = "1,000 requests/s";

export const scenario: Scenario = {
  name: "latency-pipeline",
  title: "Latency of GET 1 KB through a pipeline, at fixed rates",
  about: "As latency of GET 1 KB, through the same pipeline as GET 1 KB through a pipeline.",
  service: "pipeline",
  startOrigin: startHttpOrigin,
  check: (port, contender) => expectEdge(port, "/1k", KB_1, contender),
  warmUp: ({ port }, seconds) => runWrk({ port, path: "/1k", connections: 16, seconds }),
  cases: [
    atRate(1000, "/1k", KB_1),
    atRate(500, "/1k", KB_1, { slow: true }),
    atRate(2000, "/1k", KB_1, { slow: true }),
  ],
  aims: [
    {
      what: "pipeline, 1,000 requests/s: p50 over direct",
      unit: "ms",
      most: 0.3,
      value: ({ added }) => added(RATE, "sluice", "p50"),
    },
    {
      what: "pipeline, 1,000 requests/s: p99 over direct",
      unit: "ms",
      most: 1,
      value: ({ added }) => added(RATE, "sluice", "p99"),
    },
  ],
};
