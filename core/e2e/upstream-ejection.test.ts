import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import { type Kind, KINDS, PolicyWorld } from "./policy-world.ts";

/*
 * Targets that fail are left out by what they answer, on the compiled binary with every kind of upstream: after how many
 * failures, for how long, and that no more than the allowed share of them is.
 */

const table = new CaseTable(
  "outlier: consecutive_failures 3, base_ejection 1s",
  "upstream",
  "the target",
  "failures",
  "reason",
  "out for ms",
  "seen meanwhile",
);
const FAILURES = 3;

let world: PolicyWorld;
beforeAll(async () => {
  world = await PolicyWorld.start({
    upstreams: ({ speech }) => {
      const on = `on: [connect, reset, timeout, ${speech === "grpc" ? "unavailable" : "5xx"}]`;
      const outlier = `consecutive_failures: ${FAILURES}, ${on}`;
      return {
        failing: `outlier: { ${outlier}, base_ejection: 1s }`,
        hopeless: `outlier: { ${outlier}, base_ejection: 1m }`,
      };
    },
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

const eachKind = (run: (kind: Kind) => Promise<void>) => (): Promise<unknown> => Promise.all(KINDS.map(run));

test(
  "a target that answers 503 or UNAVAILABLE, and that resets connections",
  eachKind(async (kind) => {
    for (const answer of ["fail", "reset"] as const) {
      const fault = answer === "reset" ? "resets" : kind.speech === "grpc" ? "UNAVAILABLE" : "503";
      const row = table.begin(kind.title, fault);
      const from = world.gateway.lines.length;
      await world.order(kind, "b", { answer });
      const said = await world.calls(kind, "failing", answer, 2 * FAILURES, 1);
      expect(said.filter(({ good }) => !good).length).toBe(FAILURES);
      const ejected = await world.event(kind, "failing", "ejected", from);
      const begun = performance.now();
      // A GET on a connection that is reset after it was idle is sent once more on a new one, by itself.
      const { b: seen = 0 } = world.counts(kind, answer);
      expect(seen - FAILURES).toBeOneOf(answer === "reset" ? [0, 1] : [0]);

      const meanwhile = await world.calls(kind, "failing", `${answer}-out`, 20, 4);
      expect(meanwhile.filter(({ good }) => !good)).toEqual([]);
      expect(world.counts(kind, `${answer}-out`)).toEqual({ a: 20, b: 0 });
      await world.order(kind, "b", { answer: "good" });

      await world.event(kind, "failing", "restored", from);
      const out = performance.now() - begun;
      expect(out).toBeGreaterThan(900);
      await world.calls(kind, "failing", `${answer}-back`, 10, 1);
      expect(world.counts(kind, `${answer}-back`)).toEqual({ a: 5, b: 5 });
      row.passed(String(FAILURES), String(ejected["reason"]), String(Math.round(out)), "0");
    }
  }),
);

test(
  "both fail: half of them is left out, and no more",
  eachKind(async (kind) => {
    await world.orderAll(kind, { answer: "fail" });
    await world.calls(kind, "hopeless", "hopeless", 30, 3);
    const { targets } = await world.upstream(kind, "hopeless");
    expect(targets.map(({ status }) => status).sort()).toEqual(["available", "ejected"]);
    await world.orderAll(kind, { answer: "good" });
    expect((await world.call(kind, "hopeless", "after-0")).good).toBe(true);
  }),
);
