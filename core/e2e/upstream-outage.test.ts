import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import type { Said } from "./policy-client.ts";
import type { Orders } from "./policy-orders.ts";
import { type Kind, KINDS, PolicyWorld } from "./policy-world.ts";

/*
 * Every target of an upstream fails, on the compiled binary with every kind of upstream: the budget bounds what retries
 * add to the load, and a `Retry-After` is obeyed.
 */

const table = new CaseTable("full outage", "upstream", "targets", "requests", "seen by targets", "ratio");
const RATIO = 0.2;
const LEAST = 10;

let world: PolicyWorld;
beforeAll(async () => {
  world = await PolicyWorld.start({
    upstreams: ({ method }) => {
      const grpc = method === "POST" ? ", unavailable" : "";
      const on = `on: [connect, reset, timeout, "503"${grpc}], methods: [${method}]`;
      const budget = `budget: { ratio: 20%, min: ${LEAST}, window: 10s }`;
      const retries = `retries: { attempts: 3, ${on}, backoff: { base: 1ms, max: 2ms }, ${budget} }`;
      const silent = `attempts: 3, on: [connect, timeout], methods: [${method}], per_try_timeout: 100ms`;
      return {
        failing: retries,
        resetting: retries,
        asking: retries,
        // Without a word on methods: no POST is sent twice.
        unsafe: `retries: { attempts: 3, on: [connect, reset, timeout, "503"${grpc}] }`,
        silent: `timeouts: { connect: 100ms }, retries: { ${silent}, backoff: { base: 1ms, max: 2ms }, budget: { min: 1000 } }`,
      };
    },
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

/** Sends requests of every kind while all targets are as ordered; what was said and how many the targets saw. */
async function outage(
  name: string,
  orders: Orders,
  count: number,
  judge: (kind: Kind, said: readonly Said[], seen: number) => void,
): Promise<void> {
  await Promise.all(
    KINDS.map(async (kind) => {
      const row = table.begin(kind.title, name);
      await world.orderAll(kind, orders);
      const said = await world.calls(kind, name, name, count, 16);
      const seen = world.seen(kind, name).length;
      judge(kind, said, seen);
      row.passed(String(count), String(seen), (seen / count).toFixed(3));
    }),
  );
}

test("every target answers 503, or UNAVAILABLE: at most the budget on top", () =>
  outage("failing", { answer: "fail" }, 1_000, ({ speech }, said, seen) => {
    expect(new Set(said.map(({ status }) => status))).toEqual(
      new Set([speech === "grpc" ? "UNAVAILABLE" : "503"]),
    );
    expect(seen).toBeLessThanOrEqual(said.length * (1 + RATIO) + LEAST);
    // It is used, too.
    expect(seen).toBeGreaterThan(said.length * (1 + RATIO / 2));
  }));

test("every target resets every connection: likewise", () =>
  outage("resetting", { answer: "reset" }, 500, ({ speech }, said, seen) => {
    expect(new Set(said.map(({ status }) => status))).toEqual(
      new Set([speech === "grpc" ? "UNAVAILABLE" : "502"]),
    );
    // Fewer where a connection carries several: the others on it are gone before the target reads them.
    expect(seen).toBeLessThanOrEqual(said.length * (1 + RATIO) + LEAST);
  }));

test("every target answers 503, or resets: what is not idempotent is sent once", async () => {
  for (const answer of ["fail", "reset"] as const) {
    await Promise.all(
      KINDS.map(async (kind) => {
        const row = table.begin(kind.title, `${answer}, to POST`);
        await world.orderAll(kind, { answer });
        const prefix = `unsafe-${answer}`;
        const said = await world.calls(kind, "unsafe", prefix, 100, 4, "POST");
        expect(said.filter(({ good }) => good)).toEqual([]);
        const seen = world.seen(kind, prefix);
        expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
        if (answer === "fail") expect(seen.length).toBe(said.length);
        row.passed(String(said.length), String(seen.length), (seen.length / said.length).toFixed(3));
      }),
    );
  }
});

test("one of two targets never answers, or does not even read: the other does", async () => {
  for (const [what, orders] of [
    ["b is silent", { answer: "hold" }],
    ["b does not read", { answer: "good", port: "mute" }],
  ] as const) {
    await Promise.all(
      KINDS.map(async (kind) => {
        const row = table.begin(kind.title, what);
        await world.order(kind, "a", { answer: "good" });
        await world.order(kind, "b", orders);
        const prefix = `silent-${orders.answer}`;
        const said = await world.calls(kind, "silent", prefix, 20, 20);
        expect(said.filter(({ good }) => !good)).toEqual([]);
        const seen = world.seen(kind, prefix).length;
        row.passed(String(said.length), String(seen), (seen / said.length).toFixed(3));
        await world.order(kind, "b", { answer: "good", port: "served" });
      }),
    );
  }
});

test("a Retry-After that asks for more than max_retry_after is passed on, once every target has asked for it", () =>
  outage("asking", { answer: "fail", retryAfter: "60" }, 100, ({ speech }, said, seen) => {
    const asked = new Set(said.map(({ status, retryAfter }) => `${status} ${retryAfter}`));
    expect(asked).toEqual(new Set([speech === "grpc" ? "UNAVAILABLE 60" : "503 60"]));
    expect(seen).toBeLessThanOrEqual(said.length * 1.2 + 10);
  }));
