import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { throughputOf } from "../harness/costs.ts";
import { expectBody } from "../harness/check.ts";
import { runWrk } from "../load/wrk.ts";
import { KB_1, startHttpOrigin } from "../origins/http-origin.ts";
import type { Configure } from "../peer.ts";
import { sluiceWith } from "../peers/sluice.ts";
import type { Case, Scenario } from "../scenario.ts";

const ROUTES = 10_000;
const LAST = `/service-${ROUTES - 1}/1k`;

const routed =
  (routes: number): Configure =>
  (place) =>
    sluiceWith(
      place,
      `log: { access: false }
upstreams:
  origin: { targets: ["http://127.0.0.1:${place.origin}"] }
routes:
${Array.from({ length: routes }, (_, i) => {
  const match = routes === 1 ? "/*" : `/service-${i}/*`;
  return `  - { match: { path: ${match} }, rewrite: { replace: /1k }, upstream: origin }`;
}).join("\n")}
`,
    );

let script = "";

function at(name: string, scripted: boolean): Case {
  return {
    name,
    measure: ({ port, ...target }, seconds) =>
      throughputOf({ port, ...target }, () =>
        runWrk({
          port,
          path: LAST,
          connections: 64,
          seconds,
          expectBytesEach: KB_1,
          ...(scripted && { script }),
        }),
      ),
  };
}

const ONE = "one path";
const ALL = "all paths in turn";

export const scenario: Scenario = {
  name: "many-routes",
  title: `GET 1 KB with ${ROUTES.toLocaleString("en")} routes`,
  about: `Sluice with ${ROUTES.toLocaleString("en")} routes beside itself with one that takes every path; 64 connections. What nobody has asked for in a while is cold, so that all paths in turn cost more than one.`,
  service: "http",
  contenders: { sluice: routed(1), [`sluice, ${ROUTES} routes`]: routed(ROUTES) },
  onDemand: true,
  startOrigin(dir) {
    script = join(dir, "paths.lua");
    writeFileSync(
      script,
      `local i = 0
request = function()
  i = (i + 7919) % ${ROUTES}
  return wrk.format("GET", "/service-" .. i .. "/1k")
end
`,
    );
    return startHttpOrigin(dir);
  },
  check: (port) => expectBody(port, LAST, KB_1),
  cases: [at(ONE, false), at(ALL, true)],
};
