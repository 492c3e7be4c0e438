import { throughputOf } from "../harness/costs.ts";
import { expectBody } from "../harness/check.ts";
import { runWrk } from "../load/wrk.ts";
import { KB_1, startHttpOrigin } from "../origins/http-origin.ts";
import type { Configure, Place } from "../peer.ts";
import { haproxyWith } from "../peers/haproxy.ts";
import { sluiceWith } from "../peers/sluice.ts";
import type { Scenario } from "../scenario.ts";

const MANY = 1_000;
const ALGORITHMS = ["round-robin", "least-request", "ewma", "consistent-hash", "random"];

/** Linux has all of 127.0.0.0/8 on the loopback interface: each target has an address of its own. */
const HOSTS = Array.from({ length: MANY }, (_, i) => `127.0.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`);

function targets(count: number, { origin }: Place): string[] {
  return HOSTS.slice(0, count).map((host) => `${host}:${origin}`);
}

const balanced =
  (count: number, algorithm: string): Configure =>
  (place) =>
    sluiceWith(
      place,
      `log: { access: false }
upstreams:
  origin:
    balance: ${algorithm}
    targets: [${targets(count, place)
      .map((one) => `"http://${one}"`)
      .join(", ")}]
routes:
  - { match: { path: /* }, upstream: origin }
`,
    );

const haproxy =
  (count: number): Configure =>
  (place) =>
    haproxyWith(place, { servers: targets(count, place) });

export const scenario: Scenario = {
  name: "many-targets",
  title: `GET 1 KB with ${MANY.toLocaleString("en")} targets`,
  about: `An upstream of ${MANY.toLocaleString("en")} targets beside one of two, with each balance algorithm, and HAProxy with as many servers; 64 connections. Each target has connections of its own, most of which are cold.`,
  service: "http",
  contenders: {
    "haproxy, 2 servers": haproxy(2),
    [`haproxy, ${MANY} servers`]: haproxy(MANY),
    ...Object.fromEntries(
      ALGORITHMS.flatMap((algorithm) =>
        [2, MANY].map((count) => [`sluice, ${count}, ${algorithm}`, balanced(count, algorithm)] as const),
      ),
    ),
  },
  onDemand: true,
  startOrigin: (dir) => startHttpOrigin(dir, ["127.0.0.1", ...HOSTS]),
  check: (port) => expectBody(port, "/1k", KB_1),
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
