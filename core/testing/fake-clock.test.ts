import { describe, expect, test } from "bun:test";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";

function sleep(clock: FakeClock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimeout(resolve, ms);
  });
}

describe("the fake clock", () => {
  test("stands still, and moves by what it is told", async () => {
    const clock = createFakeClock(5_000);
    const before = clock.monotonic();
    expect(clock.now()).toBe(5_000);
    await clock.advance(250);
    expect(clock.now()).toBe(5_250);
    expect(clock.monotonic() - before).toBe(250);
  });

  test("runs timers in the order of their times, each at its own time", async () => {
    const clock = createFakeClock(0);
    const ran: [string, number][] = [];
    clock.setTimeout(() => ran.push(["late", clock.now()]), 30);
    clock.setTimeout(() => ran.push(["early", clock.now()]), 10);
    clock.setTimeout(() => ran.push(["early too", clock.now()]), 10);
    clock.setTimeout(() => ran.push(["never", clock.now()]), 31);
    await clock.advance(30);
    expect(ran).toEqual([
      ["early", 10],
      ["early too", 10],
      ["late", 30],
    ]);
    expect(clock.pending).toBe(1);
  });

  test("code that awaits one timer sets the next within the same move", async () => {
    const clock = createFakeClock(0);
    const at: number[] = [];
    const done = (async () => {
      for (let i = 0; i < 3; i++) {
        await sleep(clock, 100);
        await Promise.resolve();
        at.push(clock.now());
      }
    })();
    await clock.advance(299);
    expect(at).toEqual([100, 200]);
    await clock.advance(1);
    await done;
    expect(at).toEqual([100, 200, 300]);
  });

  test("an interval repeats until it is cancelled, also from its own callback", async () => {
    const clock = createFakeClock(0);
    let ticks = 0;
    const cancel = clock.setInterval(() => {
      if (++ticks === 3) cancel();
    }, 10);
    await clock.advance(1_000);
    expect(ticks).toBe(3);
    expect(clock.pending).toBe(0);
  });

  test("a cancelled timer does not run", async () => {
    const clock = createFakeClock();
    let ran = false;
    const cancel = clock.setTimeout(() => (ran = true), 10);
    cancel();
    cancel();
    await clock.advance(20);
    expect(ran).toBe(false);
  });

  test("an interval of nothing does not hold time up", async () => {
    const clock = createFakeClock();
    let ticks = 0;
    clock.setInterval(() => ticks++, 0);
    await clock.advance(5);
    expect(ticks).toBe(5);
  });
});
