import { expect, test } from "bun:test";
import fc from "fast-check";
import { type CircuitState, SluiceError } from "sluice/plugin";
import { createFakeClock } from "sluice/testing";
import type { CircuitBreakerConfig } from "../../config/types.ts";
import { createCircuitBreaker, type Permit } from "./circuit-breaker.ts";

const DEFAULTS: CircuitBreakerConfig = {
  failureRatio: undefined,
  minRequests: 20,
  window: 10_000,
  consecutiveFailures: undefined,
  openFor: 5_000,
  halfOpenRequests: 1,
};

function setUp(config: Partial<CircuitBreakerConfig>) {
  const clock = createFakeClock();
  const breaker = createCircuitBreaker({ ...DEFAULTS, ...config }, clock);
  const changes: string[] = [];
  breaker.onChange((state, reason) => changes.push(`${state}: ${reason}`));
  const call = (succeeds: boolean) => {
    const permit = breaker.enter();
    if (succeeds) breaker.succeeded(permit);
    else breaker.failed(permit);
  };
  return { clock, breaker, changes, call };
}

/** What `enter` refuses with; undefined where it lets through. */
function refusalOf(enter: () => Permit): SluiceError | undefined {
  try {
    enter();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(SluiceError);
    return error as SluiceError;
  }
}

test("failures in a row open it; a success in between begins the count again", () => {
  const { breaker, changes, call } = setUp({ consecutiveFailures: 3 });
  for (const succeeds of [false, false, true, false, false]) call(succeeds);
  expect(breaker.state).toBe("closed");
  call(false);
  expect(breaker.state).toBe("open");
  expect(changes).toEqual(["open: 3 failures in a row"]);
});

test("who is refused is told when to come back, in whole seconds", async () => {
  const { breaker, clock, call } = setUp({ consecutiveFailures: 1, openFor: 2_500 });
  expect(breaker.retryAfter()).toBe(0);
  call(false);
  const told = () => {
    const refusal = refusalOf(() => breaker.enter());
    expect(refusal).toMatchObject({ status: 503, grpcStatus: 14, reason: "circuit_open" });
    return refusal?.headers;
  };
  expect(told()).toEqual([["retry-after", "3"]]);
  await clock.advance(2_400);
  expect(breaker.retryAfter()).toBe(100);
  expect(told()).toEqual([["retry-after", "1"]]);
});

test("it opens at the ratio itself, and not below the least number of requests", () => {
  const { breaker, changes, call } = setUp({ failureRatio: 0.3, minRequests: 10 });
  for (let i = 0; i < 3; i++) call(false);
  for (let i = 0; i < 6; i++) call(true);
  expect(breaker.state).toBe("closed");
  // Three of ten; but a success opens nothing.
  call(true);
  expect(breaker.state).toBe("closed");
  call(true);
  call(true);
  call(true);
  expect(breaker.state).toBe("closed");
  // Four of fourteen, then five of fifteen.
  call(false);
  expect(breaker.state).toBe("closed");
  call(false);
  expect(changes).toEqual(["open: 5 of 15 requests failed"]);
});

test("any ratio is met exactly: k failures of n open it at k / n", () => {
  for (let all = 1; all <= 60; all++) {
    for (let failures = 1; failures <= all; failures++) {
      const { breaker, call } = setUp({ failureRatio: failures / all, minRequests: all });
      for (let i = failures; i < all; i++) call(true);
      for (let i = 1; i < failures; i++) call(false);
      expect(breaker.state).toBe("closed");
      call(false);
      expect(breaker.state).toBe("open");
    }
  }
});

test("failures leave the window with time", async () => {
  const { breaker, clock, call } = setUp({ failureRatio: 0.5, minRequests: 4, window: 10_000 });
  for (let i = 0; i < 3; i++) call(false);
  await clock.advance(11_000);
  call(false);
  for (let i = 0; i < 4; i++) call(true);
  call(false);
  expect(breaker.state).toBe("closed");
});

test("a failing and then recovering upstream: the states over time", async () => {
  const { breaker, clock, changes, call } = setUp({ consecutiveFailures: 2, halfOpenRequests: 2 });
  call(false);
  call(false);
  await clock.advance(4_999);
  expect(breaker.state).toBe("open");
  await clock.advance(1);
  // Before anybody asked.
  expect(breaker.state).toBe("half-open");
  expect(changes).toHaveLength(1);
  call(false);
  // Open as long as before, and no longer.
  await clock.advance(4_999);
  expect(breaker.state).toBe("open");
  await clock.advance(1);
  call(true);
  expect(breaker.state).toBe("half-open");
  call(true);
  expect(breaker.state).toBe("closed");
  // What was before does not count.
  call(false);
  expect(breaker.state).toBe("closed");
  expect(changes).toEqual([
    "open: 2 failures in a row",
    "half-open: it was open for 5000 ms",
    "open: a probe failed",
    "half-open: it was open for 5000 ms",
    "closed: 2 probes succeeded",
  ]);
});

test("half open, exactly the configured number is let through until they have decided", async () => {
  const { breaker, clock, call } = setUp({ consecutiveFailures: 1, halfOpenRequests: 3 });
  call(false);
  await clock.advance(5_000);
  const probes = [breaker.enter(), breaker.enter(), breaker.enter()];
  expect(refusalOf(() => breaker.enter())?.headers).toEqual([["retry-after", "1"]]);
  breaker.succeeded(probes[0]!);
  breaker.succeeded(probes[1]!);
  // Two have decided, and still nobody takes their place.
  expect(refusalOf(() => breaker.enter())).toBeDefined();
  breaker.succeeded(probes[2]!);
  expect(breaker.state).toBe("closed");
});

test("a probe that is given up leaves its place to another", async () => {
  const { breaker, clock, call } = setUp({ consecutiveFailures: 1 });
  call(false);
  await clock.advance(5_000);
  breaker.abandoned(breaker.enter());
  const probe = breaker.enter();
  expect(refusalOf(() => breaker.enter())).toBeDefined();
  breaker.succeeded(probe);
  expect(breaker.state).toBe("closed");
});

test("what began before the present state has no say in it", async () => {
  const { breaker, clock, call } = setUp({ consecutiveFailures: 1 });
  const early = [breaker.enter(), breaker.enter(), breaker.enter()];
  call(false);
  breaker.succeeded(early[0]!);
  expect(breaker.state).toBe("open");
  await clock.advance(5_000);
  const probe = breaker.enter();
  breaker.failed(early[1]!);
  expect(breaker.state).toBe("half-open");
  breaker.succeeded(probe);
  breaker.failed(early[2]!);
  breaker.failed(probe);
  expect(breaker.state).toBe("closed");
});

test("either way to open suffices, and both begin afresh", async () => {
  const { breaker, clock, changes, call } = setUp({
    consecutiveFailures: 5,
    failureRatio: 0.5,
    minRequests: 6,
  });
  for (const succeeds of [true, false, true, false, true, false]) call(succeeds);
  expect(changes).toEqual(["open: 3 of 6 requests failed"]);
  await clock.advance(5_000);
  call(true);
  for (let i = 0; i < 4; i++) call(false);
  expect(breaker.state).toBe("closed");
  call(false);
  expect(changes.at(-1)).toBe("open: 5 failures in a row");
});

test("a listener that was taken away hears nothing", () => {
  const { breaker, call, changes } = setUp({ consecutiveFailures: 1 });
  let heard = 0;
  const stop = breaker.onChange(() => heard++);
  stop();
  call(false);
  expect(heard).toBe(0);
  expect(changes).toHaveLength(1);
});

test("probes that hang are given up after as long as it was open, and others are let through", async () => {
  const { breaker, clock } = setUp({ consecutiveFailures: 1, halfOpenRequests: 2 });
  breaker.failed(breaker.enter());
  await clock.advance(5_000);
  const hanging = [breaker.enter(), breaker.enter()];
  await clock.advance(4_999);
  expect(refusalOf(() => breaker.enter())).toBeDefined();
  await clock.advance(1);
  const fresh = [breaker.enter(), breaker.enter()];
  expect(refusalOf(() => breaker.enter())).toBeDefined();
  // What becomes of the first ones is of no interest any more.
  for (const permit of hanging) breaker.failed(permit);
  expect(breaker.state).toBe("half-open");
  for (const permit of fresh) breaker.succeeded(permit);
  expect(breaker.state).toBe("closed");
});

test("whatever happens in whatever order: open lets nobody through, half open never more than it may", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant("enter" as const) },
    {
      weight: 4,
      arbitrary: fc.record({ end: fc.nat(), how: fc.constantFrom("succeeded", "failed", "abandoned") }),
    },
    { weight: 1, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 7_000 }) }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 40, maxLength: 120 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      async (steps, halfOpenRequests, consecutiveFailures) => {
        const { breaker, clock } = setUp({ halfOpenRequests, consecutiveFailures });
        let under: { permit: Permit; phase: number }[] = [];
        let phase = 0;
        let openedAt = 0;
        let probedAt = 0;
        let probes = 0;
        let good = 0;
        let row = 0;
        let expected = "closed" as CircuitState;
        breaker.onChange((state) => {
          phase++;
          probes = good = row = 0;
          expected = state;
          if (state === "open") openedAt = clock.monotonic();
        });
        for (const one of steps) {
          if (one === "enter") {
            const due = expected === "open" && clock.monotonic() - openedAt >= 5_000;
            const room = expected === "half-open" && probes + good < halfOpenRequests;
            const hung = expected === "half-open" && !room && clock.monotonic() - probedAt >= 5_000;
            if (hung) {
              phase++;
              probes = good = row = 0;
            }
            const refused = refusalOf(() => {
              const permit = breaker.enter();
              under.push({ permit, phase });
              return permit;
            });
            expect(refused === undefined).toBe(expected === "closed" || due || room || hung);
            if (refused === undefined && expected === "half-open") {
              probes++;
              probedAt = clock.monotonic();
            }
          } else if ("wait" in one) await clock.advance(one.wait);
          else if (under.length > 0) {
            const ended = under[one.end % under.length]!;
            under = under.filter((other) => other !== ended);
            if (ended.phase === phase) {
              if (expected === "half-open") probes--;
              if (one.how === "succeeded") good++;
              row = one.how === "failed" ? row + 1 : one.how === "succeeded" ? 0 : row;
            }
            const before = phase;
            const opens = expected === "half-open" ? row > 0 : row >= consecutiveFailures;
            const closes = expected === "half-open" && good >= halfOpenRequests;
            const counts = ended.phase === phase && one.how !== "abandoned";
            const { permit } = ended;
            if (one.how === "succeeded") breaker.succeeded(permit);
            else if (one.how === "failed") breaker.failed(permit);
            else breaker.abandoned(permit);
            expect(phase - before).toBe(counts && (opens || closes) ? 1 : 0);
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});
