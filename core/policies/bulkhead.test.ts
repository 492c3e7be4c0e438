import { expect, test } from "bun:test";
import fc from "fast-check";
import { createFakeClock } from "sluice/testing";
import { createBulkhead } from "./bulkhead.ts";

/** What a promise rejects with. */
const failureOf = (promise: Promise<unknown> | undefined): Promise<unknown> =>
  promise!.then(
    () => undefined,
    (error: unknown) => error,
  );

const FULL = { code: "unavailable", status: 503, reason: "bulkhead", headers: [["retry-after", "1"]] };

test("up to its number at once, then in turn, then refused", async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ concurrency: 2, queue: 1, queueTimeout: 1_000 }, clock);
  expect(bulkhead.enter()).toBeUndefined();
  expect(bulkhead.enter()).toBeUndefined();
  const third = bulkhead.enter();
  expect(bulkhead).toMatchObject({ active: 2, waiting: 1 });
  expect(await failureOf(bulkhead.enter())).toMatchObject(FULL);
  bulkhead.leave();
  await third;
  expect(bulkhead).toMatchObject({ active: 2, waiting: 0 });
  bulkhead.leave();
  bulkhead.leave();
  expect(bulkhead).toMatchObject({ active: 0, waiting: 0 });
  expect(clock.pending).toBe(0);
});

test("who waits for too long is refused, and takes no place when one is free", async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ concurrency: 1, queue: 5, queueTimeout: 1_000 }, clock);
  let rejected = 0;
  bulkhead.onReject(() => rejected++);
  void bulkhead.enter();
  const first = failureOf(bulkhead.enter());
  await clock.advance(600);
  const second = failureOf(bulkhead.enter());
  // One timer, however many wait.
  expect(clock.pending).toBe(1);
  await clock.advance(399);
  expect(bulkhead.waiting).toBe(2);
  await clock.advance(1);
  expect(await first).toMatchObject(FULL);
  expect(bulkhead.waiting).toBe(1);
  await clock.advance(600);
  expect(await second).toMatchObject(FULL);
  expect(rejected).toBe(2);
  expect(clock.pending).toBe(0);
  bulkhead.leave();
  expect(bulkhead).toMatchObject({ active: 0, waiting: 0 });
});

test("who is cancelled leaves the queue at once, for the next one", async () => {
  const bulkhead = createBulkhead({ concurrency: 1, queue: 1, queueTimeout: 1_000 }, createFakeClock());
  void bulkhead.enter();
  let cancel: ((reason: unknown) => void) | undefined;
  const gone = bulkhead.enter((given) => (cancel = given));
  const reason = new Error("the client left");
  cancel?.(reason);
  cancel?.(new Error("once more"));
  expect(bulkhead.waiting).toBe(0);
  expect(await failureOf(gone)).toBe(reason);
  const next = bulkhead.enter();
  bulkhead.leave();
  await next;
  expect(bulkhead.active).toBe(1);
  // Where the signal fires before anybody waits.
  expect(await failureOf(bulkhead.enter((given) => given(reason)))).toBe(reason);
  const throws = (): never => {
    throw reason;
  };
  expect(await failureOf(bulkhead.enter(throws))).toBe(reason);
  expect(bulkhead).toMatchObject({ active: 1, waiting: 0 });
});

test("a function is called in its turn; aborted, it is not called at all", async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ concurrency: 1, queue: 2, queueTimeout: 1_000 }, clock);
  const seen: string[] = [];
  bulkhead.onSuccess(({ duration }) => seen.push(`ok after ${duration} ms`));
  bulkhead.onFailure(({ reason, handled }) => seen.push(`${JSON.stringify(Object.keys(reason))} ${handled}`));
  const done = Promise.withResolvers<string>();
  const first = bulkhead.execute(() => done.promise);
  const aborted = new AbortController();
  const left = failureOf(bulkhead.execute(() => "never", aborted.signal));
  const third = failureOf(bulkhead.execute(() => Promise.reject(new Error("no"))));
  await clock.advance(20);
  aborted.abort("gone");
  expect(await left).toBe("gone");
  done.resolve("yes");
  expect(await first).toBe("yes");
  expect(await third).toEqual(new Error("no"));
  await clock.advance(0);
  expect(await failureOf(bulkhead.execute(() => "never", AbortSignal.abort("before")))).toBe("before");
  expect(seen).toEqual(["ok after 20 ms", '["error"] false']);
  expect(bulkhead).toMatchObject({ active: 0, waiting: 0 });
});

test("aborted between its turn and its call, it gives the place back", async () => {
  const bulkhead = createBulkhead({ concurrency: 1, queue: 1, queueTimeout: 1_000 }, createFakeClock());
  void bulkhead.enter();
  const controller = new AbortController();
  let called = false;
  const waiting = bulkhead.execute(() => (called = true), controller.signal);
  bulkhead.leave();
  controller.abort("late");
  expect(await failureOf(waiting)).toBe("late");
  expect(called).toBe(false);
  expect(bulkhead.active).toBe(0);
});

test("never above its number, first come first served, nobody lost, nobody let in twice", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant("enter" as const) },
    { weight: 3, arbitrary: fc.constant("leave" as const) },
    { weight: 1, arbitrary: fc.record({ cancel: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 400 }) }) },
  );
  const settings = fc.record({
    concurrency: fc.integer({ min: 1, max: 4 }),
    queue: fc.nat(6),
    queueTimeout: fc.integer({ min: 1, max: 600 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 100 }), settings, async (steps, config) => {
      const clock = createFakeClock();
      const bulkhead = createBulkhead(config, clock);
      /** As it should be. */
      let active = 0;
      let queue: { id: number; deadline: number }[] = [];
      const due: string[] = [];
      /** As it is. */
      const seen: string[] = [];
      const cancels = new Map<number, (reason: unknown) => void>();
      let callers = 0;
      for (const one of steps) {
        if (one === "enter") {
          const id = callers++;
          const turn = bulkhead.enter((cancel) => cancels.set(id, cancel));
          if (turn === undefined) seen.push(`in ${id}`);
          else
            turn.then(
              () => seen.push(`in ${id}`),
              (reason: unknown) => seen.push(`${reason === "cancelled" ? "gone" : "refused"} ${id}`),
            );
          if (active < config.concurrency) {
            active++;
            due.push(`in ${id}`);
          } else if (queue.length < config.queue)
            queue.push({ id, deadline: clock.monotonic() + config.queueTimeout });
          else due.push(`refused ${id}`);
        } else if (one === "leave") {
          if (active === 0) continue;
          bulkhead.leave();
          const next = queue.shift();
          if (next === undefined) active--;
          else due.push(`in ${next.id}`);
        } else if ("cancel" in one) {
          if (callers === 0) continue;
          // Anybody, whether they wait or not.
          const id = one.cancel % callers;
          cancels.get(id)?.("cancelled");
          if (queue.some((waiter) => waiter.id === id)) due.push(`gone ${id}`);
          queue = queue.filter((waiter) => waiter.id !== id);
        } else {
          await clock.advance(one.wait);
          for (const waiter of queue)
            if (waiter.deadline <= clock.monotonic()) due.push(`refused ${waiter.id}`);
          queue = queue.filter((waiter) => waiter.deadline > clock.monotonic());
        }
        await Promise.resolve();
        await Promise.resolve();
        expect(seen).toEqual(due);
        expect(bulkhead).toMatchObject({ active, waiting: queue.length });
        expect(active).toBeLessThanOrEqual(config.concurrency);
        expect(clock.pending).toBe(queue.length > 0 ? 1 : 0);
      }
      while (active > 0) {
        bulkhead.leave();
        const next = queue.shift();
        if (next === undefined) active--;
        else due.push(`in ${next.id}`);
        await Promise.resolve();
      }
      await clock.advance(0);
      expect(seen).toEqual(due);
      expect(new Set(seen).size).toBe(callers);
      expect(bulkhead).toMatchObject({ active: 0, waiting: 0 });
    }),
    { numRuns: 150 },
  );
});

test("a queue of ten thousand is worked off, and left, in no time", async () => {
  const count = 10_000;
  const bulkhead = createBulkhead({ concurrency: 1, queue: count, queueTimeout: 1_000 }, createFakeClock());
  void bulkhead.enter();
  const cancels: ((reason: unknown) => void)[] = [];
  const turns = Array.from({ length: count }, () => bulkhead.enter((cancel) => cancels.push(cancel))!);
  const settled = Promise.allSettled(turns);
  const before = performance.now();
  for (let i = count - 1; i >= 0; i -= 2) cancels[i]!("gone");
  for (let i = 0; i <= count / 2; i++) bulkhead.leave();
  const results = await settled;
  expect(performance.now() - before).toBeLessThan(500);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(count / 2);
  expect(bulkhead).toMatchObject({ active: 0, waiting: 0 });
});
