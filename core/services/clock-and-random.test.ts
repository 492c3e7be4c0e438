import { expect, test } from "bun:test";
import { systemClock } from "./clock.ts";
import { systemRandom } from "./random.ts";

test("timers run once or again and again, until they are cancelled", async () => {
  const events: string[] = [];
  await new Promise<void>((resolve) => {
    systemClock.setTimeout(() => events.push("cancelled"), 1)();
    let ticks = 0;
    const stop = systemClock.setInterval(() => {
      events.push(`tick ${++ticks}`);
      if (ticks < 2) return;
      stop();
      systemClock.setTimeout(resolve, 5);
    }, 1);
  });
  expect(events).toEqual(["tick 1", "tick 2"]);
});

test("timers keep no process alive", async () => {
  const script = `import { systemClock } from ${JSON.stringify(`${import.meta.dir}/clock.ts`)};
    systemClock.setTimeout(() => {}, 600_000); systemClock.setInterval(() => {}, 600_000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "ignore", stderr: "inherit" });
  expect(await child.exited).toBe(0);
});

test("the clock tells the time, and its monotonic side never goes back", () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000);
  let last = systemClock.monotonic();
  for (let i = 0; i < 1_000; i++) {
    const next = systemClock.monotonic();
    expect(next).toBeGreaterThanOrEqual(last);
    last = next;
  }
});

test("hex is of the length asked for and never the same, across refills of the pool", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 2_000; i++) {
    const id = systemRandom.hex(16);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    seen.add(id);
  }
  expect(seen.size).toBe(2_000);
  expect(systemRandom.hex(5_000)).toHaveLength(10_000);
  expect(systemRandom.hex(0)).toBe("");
});

test("uuids are of version 4; next is in [0, 1)", () => {
  expect(systemRandom.uuid()).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  for (let i = 0; i < 1_000; i++) {
    const number = systemRandom.next();
    expect(number >= 0 && number < 1).toBe(true);
  }
});
