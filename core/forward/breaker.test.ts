import { expect, test } from "bun:test";
import { SluiceError } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import type { CircuitBreakerConfig } from "../../config/types.ts";
import { rawUpstream } from "./raw-upstream.ts";
import { failureOf, type Harness, harness, type TestExchange } from "./test-harness.ts";

/* The circuit breaker, the bulkhead and the limits of an upstream, as requests meet them. */

const BREAKER: CircuitBreakerConfig = {
  failureRatio: undefined,
  minRequests: 20,
  window: 10_000,
  consecutiveFailures: 3,
  openFor: 5_000,
  halfOpenRequests: 2,
};

const left = () => new SluiceError("client_closed", "left");
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async function statusOf(gate: Harness, x: TestExchange = gate.exchange()): Promise<number | string> {
  try {
    await gate.forwarder.forward(x);
  } catch (error) {
    return error instanceof SluiceError ? error.reason : String(error);
  }
  await x.text();
  return x.response!.status;
}

const circuit = (gate: Harness) => gate.upstreams.get("u")?.view.circuit;

test("opens, refuses with Retry-After, lets so many through when it is half open, and closes", async () => {
  let status = 500;
  await using upstream = await fakeUpstream(() => new Response("", { status }));
  await using gate = harness({ u: { url: upstream.url, circuitBreaker: BREAKER } });
  for (let i = 0; i < 3; i++) expect(await statusOf(gate)).toBe(500);
  expect(circuit(gate)).toBe("open");
  const refused = await failureOf(gate.forwarder.forward(gate.exchange()));
  expect(refused).toMatchObject({ code: "unavailable", reason: "circuit_open" });
  expect(refused.headers).toEqual([["retry-after", "5"]]);
  expect(upstream.requests).toHaveLength(3);

  await gate.clock.advance(5_000);
  expect(circuit(gate)).toBe("half-open");
  const probes = await Promise.all(Array.from({ length: 6 }, () => statusOf(gate)));
  expect(probes.filter((one) => one === 500)).toHaveLength(2);
  expect(probes.filter((one) => one === "circuit_open")).toHaveLength(4);
  expect([upstream.requests.length, circuit(gate)]).toEqual([5, "open"]);

  status = 200;
  await gate.clock.advance(5_000);
  expect(await Promise.all([statusOf(gate), statusOf(gate)])).toEqual([200, 200]);
  expect(circuit(gate)).toBe("closed");
  expect(await statusOf(gate)).toBe(200);
  const events = gate.log.lines.map(({ fields }) => fields["event"]);
  expect(events).toEqual([
    ...["circuit_open", "circuit_half_open", "circuit_open", "circuit_half_open", "circuit_closed"],
  ]);
});

test("a probe that its client leaves is somebody else's turn", async () => {
  const answers: PromiseWithResolvers<Response>[] = [];
  await using upstream = await fakeUpstream(() => {
    const answer = Promise.withResolvers<Response>();
    if (upstream.requests.length <= 3) answer.resolve(new Response("", { status: 503 }));
    answers.push(answer);
    return answer.promise;
  });
  await using gate = harness({
    u: { url: upstream.url, circuitBreaker: { ...BREAKER, halfOpenRequests: 1 } },
  });
  for (let i = 0; i < 3; i++) expect(await statusOf(gate)).toBe(503);
  await gate.clock.advance(5_000);
  const probe = gate.exchange();
  const over = failureOf(gate.forwarder.forward(probe));
  while (answers.length < 4) await gate.clock.advance(0);
  expect(await statusOf(gate)).toBe("circuit_open");
  probe.cancel(left());
  await over;
  expect(circuit(gate)).toBe("half-open");
  const next = statusOf(gate);
  while (answers.length < 5) await gate.clock.advance(0);
  answers[4]!.resolve(new Response("ok"));
  expect(await next).toBe(200);
  expect(circuit(gate)).toBe("closed");
});

test("a bulkhead holds a place until the answer is over, and who waits goes in order", async () => {
  using upstream = rawUpstream([]);
  const bulkhead = { concurrency: 1, queue: 1, queueTimeout: 1_000 };
  await using gate = harness({ u: { url: upstream.url, bulkhead } });
  const first = gate.exchange();
  const answered = gate.forwarder.forward(first);
  await upstream.until("\r\n\r\n");
  const second = gate.exchange();
  const waiting = gate.forwarder.forward(second);
  expect(await statusOf(gate)).toBe("bulkhead");
  expect(gate.upstreams.get("u")?.view.bulkhead).toEqual({ active: 1, waiting: 1 });
  // The head alone frees nothing.
  upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab");
  await answered;
  expect(gate.inFlight("u")).toBe(1);
  upstream.send("cd");
  await first.text();
  while (upstream.received.split("\r\n\r\n").length < 3) await gate.clock.advance(0);
  upstream.send(OK);
  await waiting;
  expect(await second.text()).toBe("ok");
  expect(gate.upstreams.get("u")?.view.bulkhead).toEqual({ active: 0, waiting: 0 });

  // One that is left while it waits, and one that waits for too long.
  const holder = gate.exchange();
  const held = failureOf(gate.forwarder.forward(holder));
  const leaver = gate.exchange();
  const gone = failureOf(gate.forwarder.forward(leaver));
  leaver.cancel(left());
  expect((await gone).code).toBe("client_closed");
  const late = failureOf(gate.forwarder.forward(gate.exchange()));
  await gate.clock.advance(1_050);
  expect((await late).reason).toBe("bulkhead");
  holder.cancel(left());
  await held;
  expect(gate.upstreams.get("u")?.view.bulkhead).toEqual({ active: 0, waiting: 0 });
});

test("targets with their full number: requests wait in order, and no target ever has more", async () => {
  using one = rawUpstream([]);
  using two = rawUpstream([]);
  const limits = { requests: 1, queue: 2, queueTimeout: 1_000 };
  await using gate = harness({ u: { urls: [one.url, two.url], limits } });
  const order: string[] = [];
  const start = (name: string): TestExchange => {
    const x = gate.exchange({ path: `/${name}` });
    gate.forwarder.forward(x).then(
      () => order.push(name),
      (error: SluiceError) => order.push(`${name} ${error.reason}`),
    );
    return x;
  };
  const a = start("a");
  const b = start("b");
  await Promise.all([one.until("\r\n\r\n"), two.until("\r\n\r\n")]);
  start("c");
  const d = start("d");
  start("e");
  await gate.clock.advance(0);
  expect(order).toEqual(["e overflow"]);
  expect([gate.inFlight("u"), gate.upstreams.get("u")?.view.queued]).toEqual([2, 2]);
  d.cancel(left());
  await gate.clock.advance(0);
  expect(gate.upstreams.get("u")?.view.queued).toBe(1);
  a.cancel(left());
  await one.closed();
  await one.until("GET /c");
  expect(gate.inFlight("u")).toBe(2);
  start("f");
  await gate.clock.advance(1_050);
  expect(order).toEqual(["e overflow", "d client_closed", "a client_closed", "f overflow"]);
  b.cancel(left());
  await gate.clock.advance(0);
});

test("a full pool, a queue that is full, and a deadline of the caller's open no circuit", async () => {
  using upstream = rawUpstream([]);
  const pool = { maxConnections: 1, idleTimeout: 60_000, maxAge: undefined, maxPending: 0 };
  const circuitBreaker = { ...BREAKER, consecutiveFailures: 1 };
  await using gate = harness({ u: { url: upstream.url, pool, circuitBreaker } });
  const holder = gate.exchange();
  const held = failureOf(gate.forwarder.forward(holder));
  await upstream.until("\r\n\r\n");
  for (let i = 0; i < 3; i++) expect(await statusOf(gate)).toBe("overflow");
  expect([circuit(gate), gate.upstreams.get("u")?.view.targets[0]?.failures]).toEqual(["closed", 0]);
  holder.cancel(left());
  await held;

  using silent = rawUpstream([]);
  await using calls = harness({ u: { url: silent.url, protocol: "grpc", circuitBreaker } });
  const headers = [
    ["content-type", "application/grpc"],
    ["grpc-timeout", "1m"],
  ] as const;
  const x = calls.exchange({ method: "POST", version: "2", headers });
  const late = failureOf(calls.forwarder.forward(x));
  await silent.until("PRI");
  await calls.clock.advance(50);
  expect((await late).reason).toBe("timeout.deadline");
  expect(circuit(calls)).toBe("closed");
});

test("the time of the whole exchange holds while a request waits, and what waited is not sent when it is over", async () => {
  for (const waiting of [
    { bulkhead: { concurrency: 1, queue: 9, queueTimeout: 60_000 } },
    { limits: { requests: 1, queue: 9, queueTimeout: 60_000 } },
  ]) {
    using upstream = rawUpstream([]);
    await using gate = harness({ u: { url: upstream.url, ...waiting } });
    const holder = gate.exchange();
    const held = failureOf(gate.forwarder.forward(holder));
    await upstream.until("\r\n\r\n");
    await using limited = harness({ u: { url: upstream.url, ...waiting, timeouts: { request: 1_000 } } });
    const first = limited.exchange();
    const firstFailed = failureOf(limited.forwarder.forward(first));
    const second = limited.exchange({ method: "POST" });
    const secondFailed = failureOf(limited.forwarder.forward(second));
    await limited.clock.advance(1_100);
    expect([(await firstFailed).reason, (await secondFailed).reason]).toEqual([
      "timeout.request",
      "timeout.request",
    ]);
    expect(upstream.received).not.toContain("POST");
    holder.cancel(left());
    await held;
  }
});
