import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import { KINDS, PolicyWorld } from "./policy-world.ts";

/* How requests are spread over targets of weights 3 and 1, on the compiled binary with every kind of upstream. */

const REQUESTS = 400;

/**
 * Chance has a standard deviation of 9 of 400. Who goes by requests under way or by latencies takes some from a target
 * that has more to do than it can.
 */
const ALGORITHMS = [
  ["round-robin", 300, 300],
  ["least-request", 200, 350],
  ["ewma", 200, 390],
  ["random", 250, 350],
  ["consistent-hash", 250, 350],
] as const;

const table = new CaseTable(
  `${REQUESTS} requests to targets of weights 3 and 1`,
  "upstream",
  "balance",
  "first",
  "second",
);

let world: PolicyWorld;

beforeAll(async () => {
  world = await PolicyWorld.start({
    weights: { a: 3, b: 1 },
    upstreams: () =>
      Object.fromEntries(
        ALGORITHMS.map(([name]) => [
          name,
          `balance: ${name}${name === "consistent-hash" ? ", hash: { header: x-id }" : ""}`,
        ]),
      ),
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

for (const kind of KINDS) {
  test.each(ALGORITHMS)(`${kind.title}: %s`, async (name, least, most) => {
    const row = table.begin(kind.title, name);
    const prefix = `${kind.speech}-${name}`;
    const said = await world.calls(kind, name, prefix, REQUESTS, 4);
    expect(said.filter(({ good }) => !good)).toEqual([]);
    const seen = world.seen(kind, prefix);
    const first = seen.filter(({ target }) => target === "a").length;
    expect(first).toBeGreaterThanOrEqual(least);
    expect(first).toBeLessThanOrEqual(most);
    expect(seen.length).toBe(REQUESTS);
    row.passed(String(first), String(seen.length - first));
  });

  test(`${kind.title}: requests of one key go to one target`, async () => {
    const prefix = `key-${kind.speech}`;
    for (let i = 0; i < 20; i++)
      expect((await world.call(kind, "consistent-hash", `${prefix}-1`)).good).toBeTrue();
    const targets = world.seen(kind, prefix).map(({ target }) => target);
    expect([targets.length, new Set(targets).size]).toEqual([20, 1]);
  });
}
