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
  times(100, () => budget.earn(2_048));
  times(500, () => budget.chargeIdleFrame(2_000));
  expect(reasonOf(() => times(100, () => budget.chargeIdleFrame(2_000)))).toBe("frame_flood");
});
