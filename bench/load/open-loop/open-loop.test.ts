import type { Socket } from "bun";
import { expect, test } from "bun:test";
import { arrivalTimes } from "./arrivals.ts";
import { ExactBody } from "./exact-body.ts";
import { type OpenLoopPlan, type OpenLoopRun, runPlan } from "./open-loop.ts";

const REQUEST = Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
const ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** A server that leaves it to `asked` to answer. `n` counts the requests. */
function serve(asked: (socket: Socket, n: number) => void): Disposable & { readonly port: number } {
  let n = 0;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    // The requests are small and come one at a time: none is cut.
    socket: { data: (socket) => asked(socket, n++) },
  });
  return { port: server.port, [Symbol.dispose]: () => server.stop(true) };
}

function run(port: number, plan: Partial<OpenLoopPlan>): Promise<OpenLoopRun> {
  return runPlan({
    port,
    request: REQUEST,
    status: 200,
    newBody: () => new ExactBody(Buffer.from("ok")),
    arrivals: arrivalTimes(500, 0.3),
    first: 0,
    maxConnections: 2_000,
    patience: 5_000,
    ...plan,
  });
}

test("a stall is seen by everything that fell due in it, back to when it fell due", async () => {
  // From the 50th request on nothing is answered until the 100th has come, which it does only if nobody waits.
  const from = 50;
  const to = 100;
  const held: Socket[] = [];
  using server = serve((socket, n) => {
    if (n < from || n >= to) socket.write(ANSWER);
    else held.push(socket);
    if (n === to) for (const each of held) each.write(ANSWER);
  });
  const spacing = 2;
  const { latencies, errors, connections } = await run(server.port, {
    arrivals: arrivalTimes(1_000 / spacing, 0.3),
  });
  expect(errors).toBe(0);
  expect(latencies.every((latency) => latency > 0)).toBe(true);
  expect(connections).toBeGreaterThanOrEqual(to - from);
  // The stall ended when that one was there, so no machine is too slow for this.
  for (let i = from; i < to; i++) expect(latencies[i]).toBeGreaterThanOrEqual((to - i) * spacing);
});

test("a generator that stalls says so, and does not call the server fast", async () => {
  const stall = 60;
  using server = serve((socket, n) => {
    const until = performance.now() + stall;
    // They share a process here, and so a stall.
    if (n === 20) while (performance.now() < until);
    socket.write(ANSWER);
  });
  const { latencies, lateness } = await run(server.port, {});
  // Of some 30 requests that fell due meanwhile the first came latest.
  expect(Math.max(...lateness)).toBeGreaterThan(stall / 2);
  for (const [i, late] of lateness.entries()) expect(latencies[i]).toBeGreaterThanOrEqual(late);
});

test("what finds no connection waits for one, and its time runs", async () => {
  const open = new Set<Socket>();
  using server = serve((socket) => {
    open.add(socket);
    socket.write(ANSWER);
  });
  const { latencies, errors, connections } = await run(server.port, {
    arrivals: new Float64Array(40),
    maxConnections: 4,
  });
  expect(errors).toBe(0);
  expect(connections).toBe(4);
  expect(open.size).toBe(4);
  // All were due at once: the last has waited for ten answers.
  expect(latencies[39]).toBeGreaterThan(latencies[0]!);
});

test("only what falls due after the warm-up is measured", async () => {
  using server = serve((socket) => socket.write(ANSWER));
  const { latencies, lateness } = await run(server.port, { first: 100 });
  expect([latencies.length, lateness.length]).toEqual([50, 50]);
});

test("a connection that its server closes is opened again", async () => {
  using server = serve((socket) => {
    socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
  });
  const { errors, connections } = await run(server.port, { arrivals: arrivalTimes(500, 0.02) });
  expect([errors, connections]).toEqual([0, 10]);
});

test.each([
  ["a wrong status", "HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nok", "answered 503 Busy"],
  ["another body", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno", "not the expected one: no"],
  ["nonsense", "hello\r\n", "no HTTP/1.1"],
])("%s is an error", async (_, answer, words) => {
  using server = serve((socket, n) => socket.write(n === 3 ? answer : ANSWER));
  const { errors, firstError, latencies } = await run(server.port, { arrivals: arrivalTimes(500, 0.02) });
  expect(errors).toBe(1);
  expect(firstError).toContain(words);
  expect(latencies.filter(Number.isNaN).length).toBe(1);
});

test("a connection that is lost, an answer that never comes, and one that nobody asked for are errors", async () => {
  using closing = serve((socket, n) => void (n === 3 ? socket.terminate() : socket.write(ANSWER)));
  const lost = await run(closing.port, { arrivals: arrivalTimes(500, 0.02) });
  expect(lost).toMatchObject({ errors: 1, firstError: expect.stringContaining("closed") as unknown });

  using silent = serve((socket, n) => void (n === 3 || socket.write(ANSWER)));
  const unanswered = await run(silent.port, { arrivals: arrivalTimes(500, 0.02), patience: 20 });
  expect(unanswered).toMatchObject({
    errors: 1,
    firstError: expect.stringContaining("no answer") as unknown,
  });

  using talkative = serve((socket, n) => {
    socket.write(ANSWER);
    if (n === 3) setImmediate(() => socket.write("HTTP/1.1 408 Late\r\n\r\n"));
  });
  expect((await run(talkative.port, {})).errors).toBeGreaterThan(0);
});

test("a port that nobody listens on is an error for each request", async () => {
  const server = serve(() => undefined);
  server[Symbol.dispose]();
  const { errors, firstError } = await run(server.port, { arrivals: arrivalTimes(500, 0.02) });
  expect(errors).toBe(10);
  expect(firstError).toContain("cannot connect");
});
