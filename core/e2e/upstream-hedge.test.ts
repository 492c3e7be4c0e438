import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import type { Said } from "./policy-client.ts";
import { type Kind, KINDS, PolicyWorld } from "./policy-world.ts";

/*
 * One of two targets stalls a few of its requests, on the compiled binary with every kind of upstream: without hedging
 * the 99th percentile is the stall, with it it is near the median.
 */

const table = new CaseTable(
  "one of two targets stalls 1 in 40 of its requests for 500 ms",
  "upstream",
  "hedged",
  "requests",
  "p50 ms",
  "p99 ms",
  "most ms",
  "seen by targets",
  "extra",
);
const STALL = { every: 40, ms: 500 };
const REQUESTS = 480;
const RATIO = 0.1;
/** Requests before the ones that count: connections, and latencies to take a percentile of. */
const WARM_UP = 200;

let world: PolicyWorld;
beforeAll(async () => {
  world = await PolicyWorld.start({
    upstreams: ({ method }) => ({
      never: "",
      "after-20ms": `hedge: { after: 20ms, ratio: 10%, methods: [${method}] }`,
      "after-p95": `hedge: { after: p95, ratio: 10%, methods: [${method}] }`,
    }),
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

interface Figures {
  readonly p50: number;
  readonly p99: number;
}

async function measure(kind: Kind, name: string): Promise<Figures> {
  const row = table.begin(kind.title, name);
  await world.order(kind, "a", { stall: null });
  await world.calls(kind, name, `warm-${name}`, WARM_UP, 8);
  await world.order(kind, "a", { stall: STALL });
  const said = await world.calls(kind, name, name, REQUESTS, 8);
  expect(said.filter(({ good }) => !good)).toEqual([]);
  const seen = world.seen(kind, name).length;
  const warm = world.seen(kind, `warm-${name}`).length;
  // Both belong to the window that the share is counted over.
  expect(seen + warm).toBeLessThanOrEqual(Math.ceil((REQUESTS + WARM_UP) * (1 + RATIO)));
  const at = (share: number): number => percentile(said, share);
  row.passed(
    String(REQUESTS),
    ...[at(0.5), at(0.99), at(1)].map((ms) => ms.toFixed(1)),
    String(seen),
    `${(((seen - REQUESTS) / REQUESTS) * 100).toFixed(1)} %`,
  );
  return { p50: at(0.5), p99: at(0.99) };
}

function percentile(said: readonly Said[], share: number): number {
  const sorted = said.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

test.each(KINDS.map((kind) => [kind.title, kind] as const))("%s", async (_, kind) => {
  const without = await measure(kind, "never");
  expect(without.p99).toBeGreaterThanOrEqual(STALL.ms);
  for (const name of ["after-20ms", "after-p95"]) {
    const { p50, p99 } = await measure(kind, name);
    expect(p99 - p50).toBeLessThan(STALL.ms / 2);
  }
});
