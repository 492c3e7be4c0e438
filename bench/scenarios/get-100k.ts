import { expectBody } from "../harness/check.ts";
import { throughputOf } from "../harness/costs.ts";
import { runWrk } from "../load/wrk.ts";
import { KB_100, startHttpOrigin } from "../origins/http-origin.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "get-100k",
  title: "GET 100 KB",
  about: "A plain GET that is answered with a file of 102,400 bytes, 64 keep-alive connections.",
  service: "http",
  startOrigin: startHttpOrigin,
  check: (port) => expectBody(port, "/100k", KB_100),
  cases: [
    {
      name: "64 connections",
      slow: true,
      measure: (target, seconds) =>
        throughputOf(target, () =>
          runWrk({ port: target.port, path: "/100k", connections: 64, seconds, expectBytesEach: KB_100 }),
        ),
    },
  ],
};
