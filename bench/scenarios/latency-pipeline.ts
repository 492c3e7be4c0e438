import { expectEdge } from "../harness/check.ts";
import { AT_RATES, warmUp } from "../harness/latency.ts";
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
  warmUp,
  cases: AT_RATES,
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
