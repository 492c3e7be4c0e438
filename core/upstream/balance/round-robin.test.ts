import { expect, test } from "bun:test";
import fc from "fast-check";
import { RoundRobin } from "./round-robin.ts";
import { ramp } from "./slow-start.ts";
import { FakeTarget } from "./test-simulation.ts";

const anyWeight = fc.integer({ min: 1, max: 20 });
const weights = fc.array(anyWeight, { minLength: 1, maxLength: 8 });

function targetsOf(list: readonly number[]): FakeTarget[] {
  return list.map((weight, i) => new FakeTarget(`${i}`, weight));
}

function roundRobin(targets: readonly FakeTarget[]): RoundRobin<FakeTarget> {
  const order = new RoundRobin<FakeTarget>();
  order.update(targets);
  return order;
}

/** The ids of the next ones, in one string where they are letters. */
function take(
  order: RoundRobin<FakeTarget>,
  count: number,
  usable?: (target: FakeTarget) => boolean,
  now = 0,
): string[] {
  return Array.from({ length: count }, () => order.pick(now, undefined, usable)!.id);
}

function countsOf(ids: readonly string[], targets: readonly FakeTarget[]): number[] {
  return targets.map(({ id }) => ids.filter((picked) => picked === id).length);
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

const sequences: [name: string, weights: number[], sequence: string][] = [
  ["3 and 1", [3, 1], "aabaaaba"],
  ["equal weights take turns", [1, 1, 1], "abcabc"],
  ["5, 1 and 1 as nginx documents it", [5, 1, 1], "aabacaa"],
  ["less than one", [0.5, 0.25], "abaaba"],
  ["alone", [7], "aaa"],
];

test.each(sequences)("the order of weights: %s", (_, list, sequence) => {
  const order = roundRobin(list.map((weight, i) => new FakeTarget("abc"[i]!, weight)));
  expect(take(order, sequence.length).join("")).toBe(sequence);
});

test("any run of k times the sum of the weights has everybody k times its weight, wherever it begins", () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 3 }), fc.nat(100), (list, k, skipped) => {
      const targets = targetsOf(list);
      const order = roundRobin(targets);
      take(order, skipped);
      expect(countsOf(take(order, k * sum(list)), targets)).toEqual(list.map((weight) => k * weight));
    }),
  );
});

test("fractional weights keep their proportions", () => {
  const targets = targetsOf([0.5, 1.5]);
  expect(countsOf(take(roundRobin(targets), 4_000), targets)).toEqual([1_000, 3_000]);
});

test("the order is the same after millions of picks", () => {
  const list = [7, 3, 1, 3];
  const targets = targetsOf(list);
  const order = roundRobin(targets);
  const first = take(order, 14);
  for (let i = 0; i < 14 * 200_000; i++) order.pick(0, undefined, undefined);
  expect(take(order, 14)).toEqual(first);
});

test("nobody waits longer than the others' weights make it", () => {
  fc.assert(
    fc.property(weights, (list) => {
      const targets = targetsOf(list);
      const ids = take(roundRobin(targets), 3 * sum(list));
      for (const { id, weight } of targets) {
        const longest = list.reduce((all, other) => all + Math.floor(other / weight) + 1, 0);
        const places = ids.flatMap((picked, i) => (picked === id ? [i] : []));
        for (const [i, place] of places.entries())
          if (i > 0) expect(place - places[i - 1]!).toBeLessThanOrEqual(longest);
      }
    }),
  );
});

test("an update that changes nothing changes no turn, even where the targets are new objects", () => {
  fc.assert(
    fc.property(weights, fc.nat(50), (list, before) => {
      const [order, updated] = [roundRobin(targetsOf(list)), roundRobin(targetsOf(list))];
      take(order, before);
      take(updated, before);
      updated.update(targetsOf(list));
      expect(take(updated, 50)).toEqual(take(order, 50));
    }),
  );
});

test("who joins or leaves does not change the turns of the others among themselves", () => {
  fc.assert(
    fc.property(
      weights,
      anyWeight,
      fc.integer({ min: 1, max: 50 }),
      fc.nat(50),
      (list, newWeight, before, during) => {
        const targets = targetsOf(list);
        const [order, other] = [roundRobin(targets), roundRobin(targets)];
        take(order, before);
        order.update([...targets, new FakeTarget("new", newWeight)]);
        const ids = take(order, during);
        order.update(targets);
        ids.push(...take(order, 100));
        const stayed = ids.filter((id) => id !== "new");
        expect(stayed).toEqual(take(other, before + stayed.length).slice(before));
      },
    ),
  );
});

test("a newcomer gets its share from the first round on, and no more", () => {
  fc.assert(
    fc.property(weights, anyWeight, fc.nat(50), (list, newWeight, before) => {
      const targets = targetsOf(list);
      const order = roundRobin(targets);
      take(order, before);
      const newcomer = new FakeTarget("new", newWeight);
      order.update([newcomer, ...targets]);
      const [count] = countsOf(take(order, sum(list) + newWeight), [newcomer]);
      expect(Math.abs(count! - newWeight)).toBeLessThanOrEqual(1);
    }),
  );
});

test("many newcomers are spread over the round instead of coming one after the other", () => {
  const old = Array.from({ length: 10 }, (_, i) => new FakeTarget(`old-${i}`));
  const order = roundRobin(old);
  take(order, 25);
  order.update([...old, ...Array.from({ length: 10 }, (_, i) => new FakeTarget(`new-${i}`))]);
  const ages = take(order, 20).map((id) => id.slice(0, 3));
  for (const [i, age] of ages.entries()) expect(ages[i - 1]).not.toBe(age);
});

test("another weight counts from the next turn on", () => {
  const order = roundRobin(targetsOf([1, 1, 1, 1]));
  take(order, 6);
  const changed = targetsOf([5, 1, 1, 1]);
  order.update(changed);
  take(order, 8);
  expect(countsOf(take(order, 8), changed)).toEqual([5, 1, 1, 1]);
});

test("who was skipped keeps its turn, and the others their order", () => {
  const order = roundRobin(targetsOf([1, 1, 1]));
  const but0 = ({ id }: FakeTarget): boolean => id !== "0";
  expect(take(order, 1, but0)).toEqual(["1"]);
  expect(take(order, 5)).toEqual(["0", "2", "0", "1", "2"]);
});

test("who was skipped for long gets one turn at once and then its share", () => {
  fc.assert(
    fc.property(weights, fc.nat(200), (list, skipped) => {
      const targets = targetsOf([...list, 3]);
      const last = targets.at(-1)!;
      const [order, unskipped] = [roundRobin(targets), roundRobin(targets)];
      const meanwhile = take(order, skipped, (target) => target !== last);
      expect(meanwhile).not.toContain(last.id);
      const ids = take(order, sum(list) + 3);
      expect(countsOf(ids, [last])[0]!).toBeLessThanOrEqual(3 + 2);
      expect(countsOf(ids, [last])[0]!).toBeGreaterThanOrEqual(3 - 1);
      const others = [...meanwhile, ...ids].filter((id) => id !== last.id);
      const usual = take(unskipped, 4 * others.length).filter((id) => id !== last.id);
      expect(others).toEqual(usual.slice(0, others.length));
    }),
  );
});

test("a target in slow start gets its share by the ramp, at any rate of requests", () => {
  for (const perSecond of [5, 100, 5_000]) {
    const targets = targetsOf([1, 1, 1, 1]);
    const order = roundRobin(targets.slice(1));
    take(order, 100);
    const back = targets[0]!;
    order.update(targets);
    // Ten seconds of slow start: tenths of its share, on average of the second.
    let now = 0;
    let got = 0;
    let due = 0;
    for (let i = 0; i < perSecond * 10; i++) {
      now += 1_000 / perSecond;
      back.ramp = ramp(now, 10_000);
      due += back.ramp / (3 + back.ramp);
      if (order.pick(now, undefined, undefined) === back) got++;
      if (perSecond > 5) expect(Math.abs(got - due)).toBeLessThanOrEqual(2 + due * 0.1);
    }
    expect(Math.abs(got - due)).toBeLessThanOrEqual(1 + due * 0.05);
  }
});
