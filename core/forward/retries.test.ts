import { expect, test } from "bun:test";
import { BodyQueue, BytesBody, SluiceError } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import type { RetriesConfig } from "../../config/types.ts";
import { isIdempotent } from "../upstream/index.ts";
import { rawUpstream } from "./raw-upstream.ts";
import { deadUrl, failureOf, harness } from "./test-harness.ts";

/* Further tries at one upstream: only where they are safe, within their budget, and never of an answer that has begun. */

const RETRIES: RetriesConfig = {
  attempts: 3,
  on: ["connect", "reset", "timeout", "5xx"],
  methods: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"],
  perTryTimeout: undefined,
  backoff: { base: 25, max: 250 },
  maxRetryAfter: 1_000,
  maxBody: 1_024,
  budget: { ratio: 0.2, min: 10, window: 10_000 },
};

const nobody = { pause() {}, resume() {}, cancelled() {} };
const bytes = (text: string) => new TextEncoder().encode(text);

/** Answers with these statuses in order, the last for ever. */
async function answering(...statuses: number[]) {
  let next = 0;
  return fakeUpstream((request) => {
    const status = statuses[Math.min(next++, statuses.length - 1)]!;
    return new Response(`${request.method} ${status}`, { status });
  });
}

test("a GET goes to another target where the first cannot be reached, without a wait", async () => {
  await using good = await answering(200);
  await using gate = harness({ u: { urls: [deadUrl(), good.url], retries: RETRIES } });
  for (let i = 0; i < 4; i++) {
    const x = gate.exchange();
    await gate.forwarder.forward(x);
    expect(await x.text()).toBe("GET 200");
  }
  // The dead one was asked once, and is avoided since.
  expect(gate.tries.filter(([, , status]) => status === 0)).toHaveLength(1);
  expect(gate.retries).toEqual([["u", "retry", "sent"]]);
});

test("so does a POST, of which nothing was sent, with its body", async () => {
  await using good = await fakeUpstream(async (request) => new Response(await request.text()));
  await using gate = harness({ u: { urls: [deadUrl(), good.url], retries: RETRIES } });
  const x = gate.exchange({ method: "POST", body: new BytesBody(bytes("hello")) });
  await gate.forwarder.forward(x);
  expect([await x.text(), x.record.attempts]).toEqual(["hello", 2]);
});

test("a status is tried again after a back-off, and the last answer counts", async () => {
  await using upstream = await answering(503, 502, 200);
  await using gate = harness({ u: { url: upstream.url, retries: RETRIES } });
  const x = gate.exchange();
  const forwarded = gate.forwarder.forward(x);
  while (upstream.requests.length < 3) await gate.clock.advance(50);
  await forwarded;
  expect([await x.text(), x.record.attempts]).toEqual(["GET 200", 3]);

  await using broken = await answering(503);
  await using other = harness({ u: { url: broken.url, retries: RETRIES } });
  const y = other.exchange();
  const again = other.forwarder.forward(y);
  while (broken.requests.length < 3) await other.clock.advance(50);
  await again;
  expect([y.response?.status, await y.text()]).toEqual([503, "GET 503"]);
  expect(other.inFlight("u")).toBe(0);
});

test("what is not listed is not tried again", async () => {
  await using upstream = await answering(500, 200);
  await using gate = harness({ u: { url: upstream.url, retries: { ...RETRIES, on: ["connect", "503"] } } });
  const x = gate.exchange();
  await gate.forwarder.forward(x);
  expect(x.response?.status).toBe(500);
});

test("once a byte was sent, only an idempotent method is (RFC 9110 §9.2.2), or one that the operator names", async () => {
  for (const method of ["GET", "PUT", "DELETE", "POST", "PATCH"]) {
    for (const consent of [false, true]) {
      await using upstream = await answering(503, 200);
      const methods = consent ? [...RETRIES.methods, "POST", "PATCH"] : RETRIES.methods;
      await using gate = harness({ u: { url: upstream.url, retries: { ...RETRIES, methods } } });
      const x = gate.exchange({ method });
      const forwarded = gate.forwarder.forward(x).then(() => x.response?.status);
      await gate.clock.advance(100);
      while ((await Promise.race([forwarded, Promise.resolve()])) === undefined) await gate.clock.advance(50);
      expect([method, consent, await forwarded]).toEqual([
        method,
        consent,
        isIdempotent(method) || consent ? 200 : 503,
      ]);
    }
  }
});

test("a body within the limit is sent again from its first byte; beyond it the first failure stands", async () => {
  for (const [size, expected] of [
    [1_024, "again"],
    [1_025, "reset"],
  ] as const) {
    using first = rawUpstream([]);
    await using second = await fakeUpstream(async (request) => {
      return new Response(String((await request.text()).length));
    });
    await using gate = harness({ u: { urls: [first.url, second.url], retries: RETRIES } });
    const body = new BodyQueue(nobody);
    const x = gate.exchange({ method: "PUT", body });
    const forwarded = gate.forwarder.forward(x);
    body.push(bytes("a".repeat(size)));
    await first.until("aaaa");
    while (first.received.length < size) await first.until("a");
    first.cut();
    if (expected === "reset") {
      expect((await failureOf(forwarded)).reason).toBe("reset");
      expect(second.requests).toHaveLength(0);
      continue;
    }
    const over = forwarded.then(() => true);
    body.end(undefined);
    while (!(await Promise.race([over, Promise.resolve(false)]))) await gate.clock.advance(50);
    expect(await x.text()).toBe(String(size));
  }
});

test("Retry-After is waited for; one that asks for too much is passed on", async () => {
  for (const [after, status, attempts] of [
    ["1", 200, 2],
    ["2", 503, 1],
    ["nonsense", 200, 2],
  ] as const) {
    let asked = 0;
    await using upstream = await fakeUpstream(() =>
      asked++ === 0 ? new Response("", { status: 503, headers: { "retry-after": after } }) : new Response(""),
    );
    await using gate = harness({ u: { url: upstream.url, retries: RETRIES } });
    const x = gate.exchange();
    let done = false;
    const forwarded = gate.forwarder.forward(x).then(() => (done = true));
    while (upstream.requests.length === 0) await gate.clock.advance(0);
    if (after === "1") {
      await gate.clock.advance(990);
      expect(upstream.requests).toHaveLength(1);
    }
    while (!done) await gate.clock.advance(20);
    await forwarded;
    expect([after, x.response?.status, x.record.attempts]).toEqual([after, status, attempts]);
  }
});

test("a try that takes too long is followed by another, the whole not", async () => {
  using slow = rawUpstream([]);
  await using good = await answering(200);
  const retries = { ...RETRIES, perTryTimeout: 100, on: ["connect"] };
  await using gate = harness({ u: { urls: [slow.url, good.url], retries, timeouts: { request: 1_000 } } });
  const x = gate.exchange();
  let done = false;
  const forwarded = gate.forwarder.forward(x).then(() => (done = true));
  await slow.until("\r\n\r\n");
  while (!done) await gate.clock.advance(50);
  await forwarded;
  expect(await x.text()).toBe("GET 200");
  expect(gate.tries[0]?.[3]).toBe("timeout.first_byte");

  using alone = rawUpstream([]);
  await using single = harness({
    u: { url: alone.url, retries: { ...retries, attempts: 9 }, timeouts: { request: 250 } },
  });
  const y = single.exchange();
  const failed = failureOf(single.forwarder.forward(y));
  await alone.until("\r\n\r\n");
  let reason: string | undefined;
  void failed.then((error) => (reason = error.reason));
  while (reason === undefined) await single.clock.advance(50);
  expect(reason).toStartWith("timeout.");
  expect(y.record.attempts).toBeLessThan(4);
});

test("in a full outage the upstream's load is bounded by the budget", async () => {
  await using upstream = await answering(503);
  await using gate = harness({ u: { url: upstream.url, retries: RETRIES } });
  for (let i = 0; i < 200; i++) {
    const x = gate.exchange();
    let done = false;
    const forwarded = gate.forwarder.forward(x).then(() => (done = true));
    while (!done) await gate.clock.advance(5);
    await forwarded;
    x.response?.body?.cancel();
  }
  expect(upstream.requests.length).toBeLessThanOrEqual(240);
  expect(upstream.requests.length).toBeGreaterThan(200);
  expect(gate.retries.some(([, , outcome]) => outcome === "no_budget")).toBe(true);
});

test("a client that leaves during the back-off ends it", async () => {
  await using upstream = await answering(503);
  await using gate = harness({
    u: { url: upstream.url, retries: { ...RETRIES, backoff: { base: 1e6, max: 1e6 } } },
  });
  const x = gate.exchange();
  const failed = failureOf(gate.forwarder.forward(x));
  while (gate.tries.length === 0) await gate.clock.advance(0);
  await gate.clock.advance(10);
  x.cancel(new SluiceError("client_closed", "left"));
  expect((await failed).code).toBe("client_closed");
  expect([upstream.requests.length, gate.inFlight("u")]).toEqual([1, 0]);
});

test("a body that was read to its end and is not kept is not sent again in part", async () => {
  for (const length of [undefined, 5_000]) {
    const seen: number[] = [];
    await using upstream = await fakeUpstream(async (request) => {
      seen.push((await request.text()).length);
      return new Response("", { status: 503 });
    });
    await using gate = harness({ u: { url: upstream.url, retries: RETRIES } });
    const body = new BodyQueue(nobody, length);
    const x = gate.exchange({ method: "PUT", body });
    const forwarded = gate.forwarder.forward(x);
    body.push(bytes("a".repeat(5_000)));
    body.end(undefined);
    await forwarded;
    expect([x.response?.status, seen]).toEqual([503, [5_000]]);
  }
});

test("an upload that takes its time is no failure of the target, and no time of a try", async () => {
  using slow = rawUpstream([]);
  const outlier = {
    ...{ consecutiveFailures: 1, on: ["timeout"], baseEjection: 30_000, maxEjection: 30_000, maxEjected: 1 },
  };
  const circuitBreaker = {
    ...{ failureRatio: undefined, minRequests: 20, window: 10_000, consecutiveFailures: 1 },
    ...{ openFor: 5_000, halfOpenRequests: 1 },
  };
  await using gate = harness({
    u: {
      urls: [slow.url, deadUrl()],
      retries: { ...RETRIES, perTryTimeout: 100 },
      ...{ outlier, circuitBreaker, timeouts: { request: 2_000 } },
    },
  });
  gate.upstreams.get("u")!.targets[1]!.state.drain(true, "test");
  const x = gate.exchange({ method: "PUT", body: new BodyQueue(nobody, 10) });
  const failed = failureOf(gate.forwarder.forward(x));
  await slow.until("\r\n\r\n");
  await gate.clock.advance(1_900);
  expect(gate.tries).toEqual([]);
  await gate.clock.advance(200);
  expect((await failed).reason).toBe("timeout.request");
  const view = gate.upstreams.get("u")!.view;
  expect([view.circuit, view.targets[0]?.status, view.targets[0]?.failures]).toEqual([
    "closed",
    "available",
    0,
  ]);
});

test("a target's latency is its own time, and not what a client takes to send its body", async () => {
  using upstream = rawUpstream([]);
  await using gate = harness({ u: { url: upstream.url } });
  const latency = () => gate.upstreams.get("u")!.view.targets[0]!.latencyMs;
  const body = new BodyQueue(nobody, 2);
  const slow = gate.forwarder.forward(gate.exchange({ method: "PUT", body }));
  await upstream.until("\r\n\r\n");
  await gate.clock.advance(5_000);
  body.push(bytes("ab"));
  body.end(undefined);
  await upstream.until("ab");
  await gate.clock.advance(40);
  upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  await slow;
  expect(latency()).toBe(40);
  // One that leaves in the middle of its upload says nothing.
  const half = gate.exchange({ method: "PUT", body: new BodyQueue(nobody, 2) });
  const left = failureOf(gate.forwarder.forward(half));
  await gate.clock.advance(5_000);
  half.cancel(SluiceError.from(undefined, "client_closed"));
  await left;
  expect(latency()).toBeLessThan(40);
  const get = gate.forwarder.forward(gate.exchange({ path: "/get" }));
  await upstream.until("/get HTTP/1.1\r\n");
  await gate.clock.advance(70);
  upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  await get;
  expect(latency()).toBe(70);
});

test("what one target asks for with Retry-After, another need not wait for", async () => {
  await using busy = await fakeUpstream(
    () => new Response("", { status: 503, headers: { "retry-after": "60" } }),
  );
  await using free = await answering(200);
  await using gate = harness({ u: { urls: [busy.url, free.url], retries: RETRIES } });
  for (let i = 0; i < 4; i++) {
    const x = gate.exchange();
    let done = false;
    const forwarded = gate.forwarder.forward(x).then(() => (done = true));
    while (!done) await gate.clock.advance(5);
    await forwarded;
    expect(await x.text()).toBe("GET 200");
  }
  expect(busy.requests.length).toBeGreaterThan(0);
});

test("a request that dies on a connection used before counts as a try, and each is in the budget", async () => {
  for (const [retries, attempts] of [
    [undefined, 2],
    [{ ...RETRIES, attempts: 2 }, 2],
  ] as const) {
    using upstream = rawUpstream(["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]);
    await using gate = harness({ u: { url: upstream.url, ...(retries && { retries }) } });
    await gate.forwarder.forward(gate.exchange());
    const x = gate.exchange({ path: "/second" });
    let done = false;
    const failed = failureOf(gate.forwarder.forward(x)).then(() => (done = true));
    await upstream.until("/second");
    upstream.cut();
    await upstream.closed();
    while (upstream.received.split("/second").length < 3) await gate.clock.advance(20);
    upstream.cut();
    while (!done) await gate.clock.advance(20);
    await failed;
    expect(x.record.attempts).toBe(attempts);
    expect(gate.retries).toHaveLength(retries === undefined ? 0 : 1);
  }
});

test("the time of a try does not cut what may not be tried again", async () => {
  using slow = rawUpstream([]);
  const retries = { ...RETRIES, perTryTimeout: 100 };
  await using gate = harness({ u: { url: slow.url, retries } });
  const x = gate.exchange({ method: "POST" });
  const forwarded = gate.forwarder.forward(x);
  await slow.until("\r\n\r\n");
  await gate.clock.advance(1_000);
  slow.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  await forwarded;
  expect(x.response?.status).toBe(200);
});
