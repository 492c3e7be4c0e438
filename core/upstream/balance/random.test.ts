import { expect, test } from "bun:test";
import fc from "fast-check";
import { createSeededRandom } from "sluice/testing";
import { RandomChoice } from "./random.ts";
import { FakeTarget } from "./test-simulation.ts";

const PICKS = 50_000;

/** How often each is picked. */
function countPicks(targets: readonly FakeTarget[], usable?: (target: FakeTarget) => boolean): number[] {
  const balancer = new RandomChoice<FakeTarget>(createSeededRandom(1));
  balancer.update(targets);
  const picked = new Map<FakeTarget | undefined, number>();
  for (let i = 0; i < PICKS; i++) {
    const target = balancer.pick(0, undefined, usable);
    picked.set(target, (picked.get(target) ?? 0) + 1);
  }
  return targets.map((target) => picked.get(target) ?? 0);
}

/** Each count is what its share says, within five standard deviations. */
function expectShares(picked: readonly number[], shares: readonly number[]): void {
  const total = shares.reduce((a, b) => a + b, 0);
  for (const [i, count] of picked.entries()) {
    const share = shares[i]! / total;
    expect(Math.abs(count - PICKS * share)).toBeLessThanOrEqual(5 * Math.sqrt(PICKS * share * (1 - share)));
  }
}

test("weights, whole or not, are honoured, however far apart", () => {
  const weight = fc.oneof(
    fc.integer({ min: 1, max: 1_000_000 }),
    fc.double({ min: 0.01, max: 10, noNaN: true }),
  );
  const draws = 5_000;
  fc.assert(
    fc.property(fc.array(weight, { minLength: 1, maxLength: 30 }), (list) => {
      // Not by chance: every number there is, in steps.
      let drawn = 0;
      const balancer = new RandomChoice<FakeTarget>({ next: () => (drawn++ + 0.5) / draws });
      const counts = new Map(list.map((w, i) => [new FakeTarget(`${i}`, w), 0]));
      balancer.update([...counts.keys()]);
      for (let i = 0; i < draws; i++) {
        const target = balancer.pick(0, undefined, undefined)!;
        counts.set(target, counts.get(target)! + 1);
      }
      const total = list.reduce((a, b) => a + b, 0);
      // A target's numbers lie in some of as many stretches as there are targets; each may gain or lose one.
      for (const [target, count] of counts)
        expect(Math.abs(count - (draws * target.weight) / total)).toBeLessThanOrEqual(list.length + 1);
    }),
  );
});

test("the usable ones share what the others may not get, by their weights", () => {
  const targets = [1, 2, 3, 4].map((weight) => new FakeTarget(`${weight}`, weight));
  expectShares(
    countPicks(targets, ({ weight }) => weight > 2),
    [0, 0, 3, 4],
  );
});

test("so they do where they are few among many", () => {
  const targets = Array.from({ length: 1_000 }, (_, i) => new FakeTarget(`${i}`, i === 7 ? 3 : 1));
  const picked = countPicks(targets, ({ id }) => id === "7" || id === "900");
  expectShares([picked[7]!, picked[900]!], [3, 1]);
});

test("slow start takes from the share what the ramp says", () => {
  const targets = [1, 1, 2].map((weight, i) => new FakeTarget(`${i}`, weight));
  for (const ramp of [0.1, 0.5, 0.9]) {
    targets[0]!.ramp = ramp;
    expectShares(countPicks(targets), [ramp, 1, 2]);
  }
});

test("where everybody is in slow start, everybody gets their share", () => {
  const targets = [1, 3].map((weight, i) => new FakeTarget(`${i}`, weight));
  for (const target of targets) target.ramp = 0.1;
  expectShares(countPicks(targets), [1, 3]);
});
