import { expectEdge } from "../harness/check.ts";
import { throughputOf } from "../harness/costs.ts";
import { runWrk } from "../load/wrk.ts";
import { KB_1, startHttpOrigin } from "../origins/http-origin.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "pipeline",
  title: "GET 1 KB through a pipeline",
  about:
    "As GET 1 KB, with a request id on request and answer, a header of the operator's on both, seven security headers on the answer, and an access log in the format of each that is written to a file: by Sluice and nginx in batches, by HAProxy and Caddy line by line. Sluice counts its metrics besides, as always; the others what they count by default.",
  service: "pipeline",
  startOrigin: startHttpOrigin,
  check: (port, contender) => expectEdge(port, "/1k", KB_1, contender),
  cases: [
    {
      name: "64 connections",
      measure: (target, seconds) =>
        throughputOf(target, () =>
          runWrk({ port: target.port, path: "/1k", connections: 64, seconds, expectBytesEach: KB_1 }),
        ),
    },
  ],
};
