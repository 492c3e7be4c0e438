import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createFakeClock } from "sluice/testing";
import type { OutlierConfig } from "../../../config/types.ts";
import { createOutlierDetector, type Ejectable } from "./outlier.ts";

const CONFIG: OutlierConfig = {
  consecutiveFailures: 5,
  on: ["connect", "reset", "timeout", "5xx"],
  baseEjection: 30_000,
  maxEjection: 300_000,
  maxEjected: 0.5,
};

/** Targets that come back by themselves, and what was done to them. */
function upstream(count: number, fields: Partial<OutlierConfig> = {}) {
  const clock = createFakeClock();
  const detector = createOutlierDetector({ ...CONFIG, ...fields }, clock);
  const ejections: [target: number, ms: number, reason: string][] = [];
  const targets = Array.from({ length: count }, (_, i) => {
    let until = 0;
    return {
      outlier: { failures: 0, ejections: 0, returnedAt: 0 },
      get ejected() {
        return clock.monotonic() < until;
      },
      eject(ms, reason) {
        until = clock.monotonic() + ms;
        ejections.push([i, ms, reason]);
      },
    } satisfies Ejectable;
  });
  detector.update(targets);
  const fail = (index: number, times = 5) => {
    for (let i = 0; i < times; i++) detector.failed(targets[index]!, "connect");
  };
  return { clock, detector, targets, ejections, fail };
}

describe("failures", () => {
  test("so many in a row; one success begins anew", () => {
    const { detector, targets, ejections, fail } = upstream(2);
    const [target] = targets;
    fail(0, 4);
    detector.answered(target!, 200);
    fail(0, 4);
    expect(ejections).toEqual([]);
    detector.answered(target!, 503);
    expect(ejections).toEqual([[0, 30_000, "status 503"]]);
  });

  test("answers outside `on` are successes; what is nobody's failure is neither", () => {
    const { detector, targets, ejections, fail } = upstream(2, { on: ["connect", "503", "unavailable"] });
    const [target] = targets;
    fail(0, 4);
    for (const reason of ["overflow", "client.gone", "reset", "timeout.first_byte", "shutdown"])
      detector.failed(target!, reason);
    expect(ejections).toEqual([]);
    detector.answered(target!, 500);
    fail(0, 4);
    detector.answered(target!, 429);
    fail(0, 4);
    detector.answered(target!, 200, 0);
    fail(0, 4);
    detector.answered(target!, 200, 13);
    fail(0, 4);
    expect(ejections).toEqual([]);
    detector.answered(target!, 200, 14);
    expect(ejections).toEqual([[0, 30_000, "unavailable"]]);
  });

  test("of a target that is ejected do not count", () => {
    const { clock, ejections, fail } = upstream(2);
    fail(0, 50);
    expect(ejections).toHaveLength(1);
    return clock.advance(30_000).then(() => {
      fail(0, 4);
      expect(ejections).toHaveLength(1);
      fail(0, 1);
      expect(ejections).toHaveLength(2);
    });
  });

  test("of a target that has left the upstream neither", () => {
    const { detector, targets, ejections, fail } = upstream(3);
    detector.update(targets.slice(1));
    fail(0);
    expect(ejections).toEqual([]);
    detector.update(targets);
    fail(0);
    expect(ejections).toHaveLength(1);
  });
});

describe("how long", () => {
  test("longer each time, up to the most", async () => {
    const { clock, ejections, fail } = upstream(2, { baseEjection: 1_000, maxEjection: 3_500 });
    for (let i = 0; i < 6; i++) {
      fail(0);
      await clock.advance(ejections.at(-1)![1]);
    }
    expect(ejections.map(([, ms]) => ms)).toEqual([1_000, 2_000, 3_000, 3_500, 3_500, 3_500]);
  });

  test("each base time in service takes one off, and what was beyond the most is not owed", async () => {
    const { clock, ejections, fail } = upstream(2, { baseEjection: 1_000, maxEjection: 3_500 });
    for (let i = 0; i < 20; i++) {
      fail(0);
      await clock.advance(ejections.at(-1)![1]);
    }
    await clock.advance(999);
    fail(0);
    await clock.advance(3_500 + 1_000);
    fail(0);
    await clock.advance(3_500 + 2_500);
    fail(0);
    await clock.advance(3_000 + 100_000);
    fail(0);
    expect(ejections.slice(-4).map(([, ms]) => ms)).toEqual([3_500, 3_500, 3_000, 1_000]);
  });

  test("the most may be less than the base", () => {
    const { ejections, fail } = upstream(2, { baseEjection: 1_000, maxEjection: 400 });
    fail(0);
    expect(ejections).toEqual([[0, 400, "connect"]]);
  });
});

describe("how many", () => {
  test.each([
    [1, 0.5, 0],
    [1, 1, 0],
    [2, 0, 1],
    [2, 0.5, 1],
    [2, 1, 2],
    [3, 0.5, 1],
    [10, 0.5, 5],
    [10, 0.7, 7],
    [100, 0.29, 29],
    [7, 0, 1],
  ])("of %d targets with a share of %d: %d", (count, maxEjected, expected) => {
    const { ejections, fail } = upstream(count, { maxEjected });
    for (let round = 0; round < 3; round++) for (let i = 0; i < count; i++) fail(i);
    expect(ejections).toHaveLength(expected);
  });

  test("who was one too many begins anew, and goes when another has come back", async () => {
    const { clock, ejections, fail } = upstream(2);
    fail(0);
    fail(1, 9);
    expect(ejections).toHaveLength(1);
    await clock.advance(30_000);
    fail(1, 1);
    expect(ejections.map(([target]) => target)).toEqual([0, 1]);
  });
});

test("whatever happens: the cap holds, and each ejection is as long as its history says", async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ fail: fc.nat(4), times: fc.nat(8) }) },
    { weight: 2, arbitrary: fc.record({ succeed: fc.nat(4) }) },
    { weight: 2, arbitrary: fc.record({ wait: fc.nat(4_000) }) },
    { weight: 1, arbitrary: fc.record({ count: fc.integer({ min: 1, max: 5 }) }) },
  );
  const config = fc.record({
    consecutiveFailures: fc.integer({ min: 1, max: 4 }),
    baseEjection: fc.integer({ min: 1, max: 1_000 }),
    maxEjection: fc.integer({ min: 1, max: 5_000 }),
    maxEjected: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(config, fc.array(step, { maxLength: 80 }), async (fields, steps) => {
      const { clock, detector, targets, ejections } = upstream(5, fields);
      const { consecutiveFailures, baseEjection, maxEjection, maxEjected } = fields;
      let inUse = targets.slice();
      // The rules once more, with all that happened to each target.
      const model = targets.map(() => ({ run: 0, multiplier: 0, since: 0 }));
      const failOnce = (index: number) => {
        const target = targets[index]!;
        const known = model[index]!;
        const before = ejections.length;
        const wasEjected = target.ejected;
        const ejected = inUse.filter((one) => one.ejected).length;
        detector.failed(target, "reset");
        const happened = ejections.length > before;
        if (wasEjected) {
          expect(happened).toBe(false);
          return;
        }
        if (++known.run < consecutiveFailures) {
          expect(happened).toBe(false);
          return;
        }
        known.run = 0;
        const cap = inUse.length < 2 ? 0 : Math.max(1, Math.floor(inUse.length * maxEjected + 1e-9));
        expect(happened).toBe(inUse.includes(target) && ejected < cap);
        if (!happened) return;
        const now = clock.monotonic();
        for (; known.since + baseEjection <= now && known.multiplier > 0; known.since += baseEjection)
          known.multiplier--;
        known.multiplier = Math.min(known.multiplier + 1, Math.max(1, Math.ceil(maxEjection / baseEjection)));
        const ms = Math.min(maxEjection, known.multiplier * baseEjection);
        known.since = now + ms;
        expect(ejections.at(-1)).toEqual([index, ms, "reset"]);
        expect(inUse.filter((one) => one.ejected).length).toBeLessThanOrEqual(cap);
      };
      for (const one of steps) {
        if ("fail" in one) for (let i = 0; i < one.times; i++) failOnce(one.fail);
        else if ("succeed" in one) {
          detector.answered(targets[one.succeed]!, 200);
          model[one.succeed]!.run = 0;
        } else if ("wait" in one) await clock.advance(one.wait);
        else {
          inUse = targets.slice(0, one.count);
          detector.update(inUse);
        }
      }
    }),
  );
});
