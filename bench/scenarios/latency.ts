import { expectBody } from "../harness/check.ts";
import { AT_RATES, warmUp } from "../harness/latency.ts";
import { KB_1, startHttpOrigin } from "../origins/http-origin.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "latency",
  title: "Latency of GET 1 KB at fixed rates",
  about:
    "GETs of 1,024 bytes that fall due at a fixed rate, each counted from the moment it fell due to its last byte: a stall is paid for by everything that falls due meanwhile. Nobody writes an access log.",
  service: "http",
  startOrigin: startHttpOrigin,
  check: (port) => expectBody(port, "/1k", KB_1),
  warmUp,
  cases: AT_RATES,
  aims: [
    {
      what: "1,000 requests/s: CPU",
      unit: "% of a core",
      most: 5,
      value: ({ of }) => of("1,000 requests/s", "sluice", "cpuShare"),
    },
  ],
};
