import { expect, test } from "bun:test";
import { ConnectionError, ENHANCE_YOUR_CALM } from "../http2/frames.ts";
import { FrameBudget } from "./h2-budget.ts";

function times(count: number, run: () => void): void {
  for (let i = 0; i < count; i++) run();
}

function reasonOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as ConnectionError).code).toBe(ENHANCE_YOUR_CALM);
    return (error as ConnectionError).reason;
  }
  return "none";
}

test("resets run out, and come back by a twentieth a second", () => {
  const budget = new FrameBudget(100);
  times(100, () => budget.chargeReset(1_000));
  times(5, () => budget.chargeReset(2_000));
  expect(reasonOf(() => budget.chargeReset(2_000))).toBe("reset_flood");
});

test("frames that carry nothing run out, come back with time, and are earned by answers", () => {
  const budget = new FrameBudget(100);
  times(990, () => budget.chargeIdleFrame(1_000));
  times(100, () => budget.chargeIdleFrame(2_000));
  times(100, () => budget.earn(512));
  // Four a write, and one for each 128 bytes.
  times(800, () => budget.chargeIdleFrame(2_000));
  expect(reasonOf(() => times(100, () => budget.chargeIdleFrame(2_000)))).toBe("frame_flood");
});

test("what was sent ahead may be acknowledged piece by piece, all at once", () => {
  const budget = new FrameBudget(100);
  // 6 MB in large writes, as a client with wide windows takes them; two WINDOW_UPDATE for every 8 KB of it.
  times(24, () => budget.earn(262_144));
  times((6 * 1_048_576) / 4_096, () => budget.chargeIdleFrame(1_000));
  // Megabytes do not buy floods without end.
  times(10_000, () => budget.earn(1_048_576));
  expect(reasonOf(() => times(70_000, () => budget.chargeIdleFrame(1_000)))).toBe("frame_flood");
});
