import { expect, test } from "bun:test";
import { createFakeClock } from "sluice/testing";
import { eventStream, pause, sse } from "./pace.ts";

test("the first event comes at once, the others in step with the clock", async () => {
  const clock = createFakeClock();
  const reader = eventStream(clock, 100, [sse("one"), sse("two", "tick", 2)]).body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: one\n\n");
  const second = reader.read();
  await clock.advance(99);
  expect(Bun.peek.status(second)).toBe("pending");
  await clock.advance(1);
  expect(new TextDecoder().decode((await second).value)).toBe("event: tick\nid: 2\ndata: two\n\n");
  expect((await reader.read()).done).toBe(true);
});

test("a reader that leaves takes the timer along", async () => {
  const clock = createFakeClock();
  const reader = eventStream(clock, 100, ["one", "two"]).body!.getReader();
  await reader.read();
  const second = reader.read();
  await clock.advance(1);
  expect(clock.pending).toBe(1);
  await reader.cancel();
  await second;
  expect(clock.pending).toBe(0);
});

test("a pause ends early when its signal fires", async () => {
  const clock = createFakeClock();
  const gone = new AbortController();
  const resting = pause(clock, 100, gone.signal);
  gone.abort();
  expect(await resting).toBe(false);
  expect(await pause(clock, 100, gone.signal)).toBe(false);
  expect(clock.pending).toBe(0);
});
