import { expect, test } from "bun:test";
import fc from "fast-check";
import { createFakeClock } from "sluice/testing";
import { createRetryBudget } from "./retry-budget.ts";

test("a share of the requests, exactly, or the least number", () => {
  const budget = createRetryBudget({ ratio: 0.29, min: 3, window: 10_000 }, createFakeClock());
  const allowed = () => {
    let count = 0;
    while (budget.take()) count++;
    return count;
  };
  expect(allowed()).toBe(3);
  for (let i = 0; i < 100; i++) budget.request();
  expect(allowed()).toBe(26);
  expect(budget).toMatchObject({ requests: 100, retries: 29 });
});

test("what is allowed comes back with time", async () => {
  const clock = createFakeClock();
  const budget = createRetryBudget({ ratio: 0, min: 1, window: 10_000 }, clock);
  expect(budget.take()).toBe(true);
  await clock.advance(10_000);
  expect(budget.take()).toBe(false);
  // A tenth of the window later at the latest.
  await clock.advance(1_000);
  expect(budget).toMatchObject({ requests: 0, retries: 0 });
  expect(budget.take()).toBe(true);
});

test("nothing is allowed where nothing may be", () => {
  const budget = createRetryBudget({ ratio: 0, min: 0, window: 10_000 }, createFakeClock());
  budget.request();
  expect(budget.take()).toBe(false);
});

test("in a full outage, an upstream gets 1.2 times the requests at most", async () => {
  const clock = createFakeClock();
  const budget = createRetryBudget({ ratio: 0.2, min: 10, window: 10_000 }, clock);
  let retries = 0;
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 1_000; i++) {
      budget.request();
      // Three tries each, were it for the caller.
      while (budget.take()) retries++;
    }
    await clock.advance(1_000);
  }
  expect(retries).toBeLessThanOrEqual(12_000);
  expect(retries).toBeGreaterThan(11_990);
});

test("whenever requests and retries come: the window that ends in a retry holds no more of them, and none is refused without need", () => {
  const window = 1_000;
  const arrival = fc.record({
    after: fc.oneof(fc.constant(0), fc.nat(60), fc.nat(2_500)),
    retry: fc.boolean(),
  });
  const settings = fc.record({
    ratio: fc.constantFrom(0, 0.1, 0.2, 0.29, 0.5, 1, 2),
    min: fc.nat(4),
  });
  fc.assert(
    fc.property(
      fc.array(arrival, { minLength: 50, maxLength: 400 }),
      settings,
      (arrivals, { ratio, min }) => {
        let now = 777.25;
        const budget = createRetryBudget({ ratio, min, window }, { monotonic: () => now });
        const requests: number[] = [];
        const retries: number[] = [];
        /** Events of the `ms` that end now, both ends included. */
        const since = (events: number[], ms: number) => events.filter((at) => at >= now - ms).length;
        for (const { after, retry } of arrivals) {
          now += after;
          if (!retry) {
            requests.push(now);
            budget.request();
          } else if (budget.take()) {
            retries.push(now);
            const share = Math.floor(since(requests, window * 1.1) * ratio + 1e-9);
            expect(since(retries, window)).toBeLessThanOrEqual(Math.max(share, min));
          } else {
            const share = Math.floor(since(requests, window) * ratio + 1e-9);
            expect(since(retries, window * 1.1)).toBeGreaterThanOrEqual(Math.max(share, min));
          }
          expect(budget.requests).toBeGreaterThanOrEqual(since(requests, window));
          expect(budget.requests).toBeLessThanOrEqual(since(requests, window * 1.1));
        }
      },
    ),
    { numRuns: 200 },
  );
});
