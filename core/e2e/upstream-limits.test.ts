import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import type { Said } from "./policy-client.ts";
import { type Kind, KINDS, PolicyWorld } from "./policy-world.ts";

/*
 * Limits on requests under way, their queues and the bulkhead, on the compiled binary with every kind of upstream: what
 * targets get is counted there.
 */

const table = new CaseTable("limits", "upstream", "limit", "sent", "under way", "waited", "refused");

let world: PolicyWorld;
beforeAll(async () => {
  world = await PolicyWorld.start({
    upstreams: () => ({
      limited: "limits: { requests: 4, queue: 8, queue_timeout: 10s }",
      bulkhead: "bulkhead: { concurrency: 5, queue: 3, queue_timeout: 10s }",
      impatient: "limits: { requests: 1, queue: 4, queue_timeout: 100ms }",
    }),
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

interface Burst {
  /** The answers of those who were told at once. */
  readonly refused: readonly Said[];
  readonly others: Promise<Said[]>;
}

/** Sends requests at once to targets that hold them, until so many are refused. */
async function burst(kind: Kind, name: string, count: number, refusals: number): Promise<Burst> {
  const refused: Said[] = [];
  let done: () => void = () => undefined;
  const told = new Promise<void>((resolve) => (done = resolve));
  let released = false;
  const calls = Array.from({ length: count }, async (_, i) => {
    const said = await world.call(kind, name, `${name}-${i}`);
    if (released) return said;
    refused.push(said);
    if (refused.length === refusals) {
      released = true;
      done();
    }
    return undefined;
  });
  await told;
  return { refused, others: Promise.all(calls).then((all) => all.filter((said) => said !== undefined)) };
}

function expectRefused(said: readonly Said[], { speech }: Kind): void {
  for (const { status, retryAfter } of said) {
    expect(status).toBe(speech === "grpc" ? "UNAVAILABLE" : "503");
    expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
  }
}

const eachKind = (run: (kind: Kind) => Promise<void>) => (): Promise<unknown> => Promise.all(KINDS.map(run));

test(
  "a target's limit and its queue",
  eachKind(async (kind) => {
    const row = table.begin(kind.title, "requests 4 a target, queue 8");
    await world.orderAll(kind, { answer: "hold" });
    const { refused, others } = await burst(kind, "limited", 22, 6);
    expectRefused(refused, kind);
    const [a, b] = [await world.order(kind, "a", {}, 4), await world.order(kind, "b", {}, 4)];
    const view = await world.upstream(kind, "limited");
    expect(view.queued).toBe(8);
    expect(view.targets.map(({ in_flight }) => in_flight)).toEqual([4, 4]);
    await world.orderAll(kind, { answer: "good" });
    const rest = await others;
    expect(rest.map(({ good }) => good)).toEqual(Array<boolean>(16).fill(true));
    expect(world.seen(kind, "limited").length).toBe(16);
    row.passed("22", `${a.active} + ${b.active}`, String(view.queued), String(refused.length));

    const load = table.begin(kind.title, "requests 4 a target, queue 8");
    const said = await world.calls(kind, "limited", "load", 300, 30);
    const bad = said.filter(({ good }) => !good);
    expectRefused(bad, kind);
    const peaks = [(await world.order(kind, "a")).peak, (await world.order(kind, "b")).peak];
    for (const peak of peaks) expect(peak).toBeLessThanOrEqual(4);
    load.passed("300, 30 at a time", `at most ${peaks.join(" + ")}`, "-", String(bad.length));
  }),
);

test(
  "a bulkhead and its queue",
  eachKind(async (kind) => {
    const row = table.begin(kind.title, "bulkhead 5, queue 3");
    await world.orderAll(kind, { answer: "hold" });
    const { refused, others } = await burst(kind, "bulkhead", 12, 4);
    expectRefused(refused, kind);
    const view = await world.upstream(kind, "bulkhead");
    expect(view.bulkhead).toEqual({ active: 5, waiting: 3 });
    const held = view.targets.map(({ in_flight }) => in_flight);
    await world.order(kind, "a", {}, held[0]);
    await world.order(kind, "b", {}, held[1]);
    expect(world.seen(kind, "bulkhead").length).toBe(5);
    await world.orderAll(kind, { answer: "good" });
    const rest = await others;
    expect(rest.map(({ good }) => good)).toEqual(Array<boolean>(8).fill(true));
    row.passed("12", held.join(" + "), String(view.bulkhead?.waiting), String(refused.length));
  }),
);

test(
  "who waits too long",
  eachKind(async (kind) => {
    const row = table.begin(kind.title, "requests 1 a target, queue_timeout 100ms");
    await world.orderAll(kind, { answer: "hold" });
    const { refused, others } = await burst(kind, "impatient", 5, 3);
    expectRefused(refused, kind);
    for (const { ms } of refused) expect(ms).toBeGreaterThanOrEqual(95);
    await world.orderAll(kind, { answer: "good" });
    expect((await others).map(({ good }) => good)).toEqual([true, true]);
    expect(world.seen(kind, "impatient").length).toBe(2);
    const waits = refused.map(({ ms }) => Math.round(ms));
    row.passed("5", "1 + 1", `${Math.min(...waits)}-${Math.max(...waits)} ms`, String(refused.length));
  }),
);

test(
  "who leaves, waiting or not, gives its place to others",
  eachKind(async (kind) => {
    for (const [name, held, waiting] of [
      ["limited", 8, 8],
      ["bulkhead", 5, 3],
    ] as const) {
      const row = table.begin(kind.title, `${name}: clients that leave`);
      await world.orderAll(kind, { answer: "hold" });
      const [first, then] = [new AbortController(), new AbortController()];
      const send = (count: number, what: string, { signal }: AbortController): Promise<Said[]> =>
        Promise.all(
          Array.from({ length: count }, (_, i) =>
            world.call(kind, name, `${what}-${name}-${i}`, undefined, signal),
          ),
        );
      const left = [send(held, "held", then)];
      await until(kind, name, held);
      left.push(send(waiting, "waits", first));
      await until(kind, name, held + waiting);
      first.abort();
      await until(kind, name, held);
      then.abort();
      await until(kind, name, 0);
      for (const { status } of (await Promise.all(left)).flat()) expect(status).toBe("left");
      expect(world.seen(kind, `held-${name}`).length).toBe(held);
      expect(world.seen(kind, `waits-${name}`)).toEqual([]);

      await world.orderAll(kind, { answer: "good" });
      const said = await world.calls(kind, name, `next-${name}`, held + waiting, held + waiting);
      expect(said.filter(({ good }) => !good)).toEqual([]);
      row.passed(String(held + waiting), String(held), String(waiting), "0");
    }
  }),
);

/** Once so many requests of an upstream are under way or wait. */
async function until(kind: Kind, name: string, count: number): Promise<void> {
  for (;;) {
    const { targets, queued, bulkhead } = await world.upstream(kind, name);
    const sent = targets.reduce((sum, { in_flight }) => sum + in_flight, 0);
    if ((bulkhead === null ? sent + queued : bulkhead.active + bulkhead.waiting) === count) return;
  }
}

test("a reload while requests wait: none is lost", async () => {
  const bursts = await Promise.all(
    KINDS.map(async (kind) => {
      await world.orderAll(kind, { answer: "hold" });
      const said = world.calls(kind, "limited", "reloaded", 16, 16);
      const inBulkhead = world.calls(kind, "bulkhead", "reloaded", 8, 8);
      await Promise.all([until(kind, "limited", 16), until(kind, "bulkhead", 8)]);
      return { kind, said, inBulkhead };
    }),
  );
  await world.reload();
  await Promise.all(
    bursts.map(async ({ kind, said, inBulkhead }) => {
      const row = table.begin(kind.title, "limited and bulkhead: a reload meanwhile");
      // What waited then still counts.
      const full = await world.call(kind, "bulkhead", "full-0");
      expectRefused([full], kind);
      await world.orderAll(kind, { answer: "good" });
      expect((await said).filter(({ good }) => !good)).toEqual([]);
      expect((await inBulkhead).filter(({ good }) => !good)).toEqual([]);
      expect((await world.call(kind, "limited", "then-0")).good).toBe(true);
      row.passed("16 and 8", "8 and 5", "8 and 3", "0");
    }),
  );
});
