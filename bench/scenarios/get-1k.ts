import { throughputOf } from "../harness/costs.ts";
import { expectBody } from "../harness/check.ts";
import { runWrk } from "../load/wrk.ts";
import { KB_1, startHttpOrigin } from "../origins/http-origin.ts";
import type { Case, Scenario } from "../scenario.ts";

function at(connections: number, more: { readonly slow?: true } = {}): Case {
  return {
    name: `${connections.toLocaleString("en")} connections`,
    ...more,
    measure: (target, seconds) =>
      throughputOf(target, () =>
        runWrk({ port: target.port, path: "/1k", connections, seconds, expectBytesEach: KB_1 }),
      ),
  };
}

const C64 = "64 connections";
const C1000 = "1,000 connections";

export const scenario: Scenario = {
  name: "get-1k",
  title: "GET 1 KB",
  about:
    "A plain GET that is answered with 1,024 bytes, as fast as the contender answers, by numbers of keep-alive connections. Nobody writes an access log.",
  service: "http",
  startOrigin: startHttpOrigin,
  check: (port) => expectBody(port, "/1k", KB_1),
  cases: [at(64), at(1, { slow: true }), at(32, { slow: true }), at(256, { slow: true }), at(1000)],
  aims: [
    {
      what: "GET 1 KB, 64 connections: throughput of HAProxy's",
      unit: "×",
      least: 0.6,
      value: ({ of }) => of(C64, "sluice", "throughput") / of(C64, "haproxy", "throughput"),
    },
    {
      what: "GET 1 KB, 64 connections: throughput of Caddy's",
      unit: "×",
      least: 2,
      value: ({ of }) => of(C64, "sluice", "throughput") / of(C64, "caddy", "throughput"),
    },
    {
      what: "GET 1 KB, 64 connections: CPU a request of HAProxy's",
      unit: "×",
      most: 2.5,
      value: ({ of }) => of(C64, "sluice", "cpu") / of(C64, "haproxy", "cpu"),
    },
    {
      what: "1,000 connections: throughput of its own at 64",
      unit: "×",
      least: 0.75,
      value: ({ of }) => of(C1000, "sluice", "throughput") / of(C64, "sluice", "throughput"),
    },
  ],
};
