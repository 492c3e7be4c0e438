import { expect, test } from "bun:test";
import { temporaryDir } from "../../../core/testing/temporary-dir.ts";
import { JSON_ANSWER, JSON_REQUEST } from "../../origins/json-messages.ts";
import { startJsonOrigin } from "../../origins/json-origin.ts";
import { startSseOrigin } from "../../origins/sse-origin.ts";
import { runOpenLoop, runOpenLoopSse } from "./run-open-loop.ts";

const SHORT = { seconds: 0.3, warmUpSeconds: 0.1 };

test("requests with bodies are answered right, and what they took is told", async () => {
  using dir = temporaryDir({ request: JSON_REQUEST, answer: JSON_ANSWER });
  await using origin = await startJsonOrigin();
  const { count, latency, lateness, command } = await runOpenLoop({
    ...SHORT,
    port: origin.port,
    path: "/orders?a=1",
    rate: 200,
    seed: 3,
    headers: { "content-type": "application/json" },
    body: `${dir.path}/request`,
    expect: { file: `${dir.path}/answer` },
  });
  expect(count).toBe(60);
  expect(latency.p50).toBeWithin(0, latency.max + 1);
  expect(lateness.max).toBeGreaterThanOrEqual(0);
  expect(command).toStartWith("bun bench/load/open-loop/main.ts ");
});

test("a wrong answer is a rejection that says how wrong", async () => {
  await using origin = await startJsonOrigin();
  const run = runOpenLoop({
    ...SHORT,
    port: origin.port,
    path: "/",
    rate: 50,
    expect: { length: 3, fill: "x" },
  });
  expect(await run.catch(String)).toMatch(/20 errors, the first: answered 400/);
});

test("streams have all their events, and their delays are told", async () => {
  await using origin = await startSseOrigin();
  const { count, firstEvent, eventDelay } = await runOpenLoopSse({
    ...SHORT,
    port: origin.port,
    path: "/events?count=20&every=2",
    rate: 50,
    events: 20,
  });
  expect(count).toBe(15);
  expect(firstEvent.p50).toBeGreaterThan(0);
  // By the clock that both processes read.
  expect(eventDelay.p50).toBeWithin(0, 1_000);
});

test("too few events are a rejection", async () => {
  await using origin = await startSseOrigin();
  const path = "/events?count=20&every=1";
  const run = runOpenLoopSse({ ...SHORT, port: origin.port, path, rate: 20, events: 21 });
  expect(await run.catch(String)).toContain("20 of 21 events");
});
