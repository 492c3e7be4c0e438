import { expect, test } from "bun:test";
import { BulkheadRejectedError, handleAll, type IPolicy, retry, wrap } from "cockatiel";
import { type BulkheadPolicy, type CircuitBreakerPolicy, type FailedCall, SluiceError } from "sluice/plugin";
import { createTestServices } from "sluice/testing";

function setUp() {
  const { clock, policies } = createTestServices();
  return { clock, policies };
}

test("they are policies of cockatiel's", async () => {
  const { policies } = setUp();
  const breaker: CircuitBreakerPolicy = policies.circuitBreaker({ consecutiveFailures: 2 });
  const bulkhead: BulkheadPolicy = policies.bulkhead({ concurrency: 1 });
  const asPolicies: IPolicy[] = [breaker, bulkhead];
  expect(asPolicies).toHaveLength(2);
  const both = wrap(retry(handleAll, { maxAttempts: 1 }), breaker, bulkhead);
  let calls = 0;
  const answer: string = await both.execute(({ signal }) => {
    if (++calls === 1) throw new Error("not yet");
    return `${calls} ${signal.aborted}`;
  });
  expect(answer).toBe("2 false");
  expect(breaker.state).toBe("closed");
});

test("retries around a breaker end where it opens", async () => {
  const { policies } = setUp();
  const breaker = policies.circuitBreaker({ consecutiveFailures: 3 });
  const insistent = wrap(retry(handleAll, { maxAttempts: 10 }), breaker);
  let calls = 0;
  const failed = await insistent
    .execute(() => {
      calls++;
      throw new Error("down");
    })
    .catch((error: unknown) => error);
  expect(calls).toBe(3);
  expect(failed).toMatchObject({ reason: "circuit_open" });
  expect(failed).not.toBeInstanceOf(BulkheadRejectedError);
});

test("a breaker counts what its calls throw, or what is said to be a failure; the listener learns how long it took", async () => {
  const { clock, policies } = setUp();
  const byStatus = policies.circuitBreaker({
    consecutiveFailures: 1,
    isFailure: (call) => "value" in call && call.value === 503,
  });
  const seen: { handled: boolean; reason: FailedCall; duration: number }[] = [];
  byStatus.onFailure((failure) => seen.push(failure));
  const successes: number[] = [];
  const listening = byStatus.onSuccess(({ duration }) => successes.push(duration));
  expect(await byStatus.execute(() => 200)).toBe(200);
  listening.dispose();
  await byStatus.execute(() => 200);
  const error = new Error("not counted");
  expect(await byStatus.execute(() => Promise.reject(error)).catch((thrown: unknown) => thrown)).toBe(error);
  await clock.advance(0);
  expect(byStatus.state).toBe("closed");
  const answer = byStatus.execute(() => new Promise((resolve) => clock.setTimeout(() => resolve(503), 30)));
  await clock.advance(30);
  expect(await answer).toBe(503);
  expect(byStatus.state).toBe("open");
  expect(successes).toEqual([0]);
  expect(seen).toEqual([
    { handled: false, duration: 0, reason: { error } },
    { handled: true, duration: 30, reason: { value: 503 } },
  ]);
});

test("what the client did, and a call that was aborted, are no verdict", async () => {
  const { clock, policies } = setUp();
  const breaker = policies.circuitBreaker({ consecutiveFailures: 1 });
  const fails = (reason: unknown, signal?: AbortSignal) =>
    breaker.execute(() => Promise.reject(reason), signal).catch((thrown: unknown) => thrown);
  await fails(new SluiceError("bad_request", "no"));
  expect(breaker.state).toBe("closed");
  const controller = new AbortController();
  const aborted = breaker
    .execute(async ({ signal }) => {
      controller.abort(new Error("gone"));
      signal.throwIfAborted();
    }, controller.signal)
    .catch((thrown: unknown) => thrown);
  expect(await aborted).toEqual(new Error("gone"));
  expect(await fails("not asked", AbortSignal.abort("before"))).toBe("before");
  expect(breaker.state).toBe("closed");
  await fails(new Error("theirs"));
  expect(breaker.state).toBe("open");
  await clock.advance(5_000);
  // Half open, they leave the place to somebody else.
  await fails(new SluiceError("bad_request", "no"));
  expect(await breaker.execute(() => "fine")).toBe("fine");
  expect(breaker.state).toBe("closed");
});

test("a test of what is a failure that fails itself keeps no probe's place", async () => {
  const { clock, policies } = setUp();
  let broken = false;
  const breaker = policies.circuitBreaker({
    consecutiveFailures: 1,
    isFailure: (call) => {
      if (broken) throw new Error("defect");
      return "error" in call;
    },
  });
  await breaker.execute(() => Promise.reject(new Error("down"))).catch(() => undefined);
  await clock.advance(5_000);
  broken = true;
  expect(await breaker.execute(() => 1).catch((error: unknown) => error)).toEqual(new Error("defect"));
  broken = false;
  expect(await breaker.execute(() => 1)).toBe(1);
});

test("options that cannot be are refused, and say which", () => {
  const { policies } = setUp();
  expect(() => policies.circuitBreaker({})).toThrow("opens by failureRatio, consecutiveFailures or both");
  for (const [options, name] of [
    [{ failureRatio: 0 }, "failureRatio"],
    [{ failureRatio: 1.1 }, "failureRatio"],
    [{ failureRatio: Number.NaN }, "failureRatio"],
    [{ consecutiveFailures: 0 }, "consecutiveFailures"],
    [{ consecutiveFailures: 1, minRequests: 0.5 }, "minRequests"],
    [{ consecutiveFailures: 1, halfOpenRequests: 0 }, "halfOpenRequests"],
    [{ consecutiveFailures: 1, window: 0 }, "window"],
    [{ consecutiveFailures: 1, openFor: Number.POSITIVE_INFINITY }, "openFor"],
  ] as const) {
    expect(() => policies.circuitBreaker(options)).toThrow(new RegExp(`^${name} is `));
  }
  for (const [options, name] of [
    [{ concurrency: 0 }, "concurrency"],
    [{ concurrency: 1, queue: -1 }, "queue"],
    [{ concurrency: 1, queueTimeout: -1 }, "queueTimeout"],
  ] as const) {
    expect(() => policies.bulkhead(options)).toThrow(new RegExp(`^${name} is `));
  }
});

test("without options: the documented defaults", async () => {
  const { clock, policies } = setUp();
  const breaker = policies.circuitBreaker({ failureRatio: 1 });
  for (let i = 0; i < 19; i++) breaker.failed(breaker.enter());
  expect(breaker.state).toBe("closed");
  breaker.failed(breaker.enter());
  expect(breaker.retryAfter()).toBe(5_000);
  const bulkhead = policies.bulkhead({ concurrency: 1, queue: 1 });
  void bulkhead.enter();
  const waiting = bulkhead.enter()!.catch((error: unknown) => error);
  await clock.advance(999);
  expect(bulkhead.waiting).toBe(1);
  await clock.advance(1);
  expect(await waiting).toBeInstanceOf(SluiceError);
  expect(policies.bulkhead({ concurrency: 1 }).enter()).toBeUndefined();
});
