import { expect, test } from "bun:test";
import fc from "fast-check";
import { createSeededRandom } from "sluice/testing";
import { ConsistentHash } from "./consistent-hash.ts";
import { hashText } from "./hash.ts";
import { FakeTarget } from "./test-simulation.ts";

const KEYS = Uint32Array.from({ length: 100_000 }, (_, i) => hashText(`user-${i}`));

function targetsOf(count: number): FakeTarget[] {
  return Array.from({ length: count }, (_, i) => new FakeTarget(`http://10.1.0.${i}:8080`));
}

function consistentHash(targets: readonly FakeTarget[]): ConsistentHash<FakeTarget> {
  const balancer = new ConsistentHash<FakeTarget>(createSeededRandom(1));
  balancer.update(targets);
  return balancer;
}

type Usable = (target: FakeTarget) => boolean;

/** The owner's id of each key. */
function ownersOf(balancer: ConsistentHash<FakeTarget>, keys: Uint32Array = KEYS, usable?: Usable): string[] {
  return Array.from(keys, (key) => balancer.pick(0, key, usable)!.id);
}

/** The keys whose owner has changed. */
function moved(before: readonly string[], after: readonly string[]): number[] {
  return before.flatMap((id, i) => (after[i] === id ? [] : [i]));
}

test.each([3, 10, 100])(
  "one of %d targets leaves: its keys move, at most 1/n and 10 %, and no others",
  (count) => {
    const targets = targetsOf(count);
    const balancer = consistentHash(targets);
    const before = ownersOf(balancer);
    const leaver = targets[1]!;
    balancer.update(targets.filter((target) => target !== leaver));
    const after = ownersOf(balancer);
    const changed = moved(before, after);
    console.log(
      `${count} targets, one leaves: ${changed.length} of ${KEYS.length} keys move, 1/n is ${Math.round(KEYS.length / count)}`,
    );
    expect(changed.length).toBeLessThan((KEYS.length / count) * 1.1);
    expect(changed.every((i) => before[i] === leaver.id)).toBe(true);
    expect(after).not.toContain(leaver.id);
    // They are spread over all that stay.
    if (count <= 10)
      for (const { id } of targets)
        if (id !== leaver.id)
          expect(changed.filter((i) => after[i] === id).length).toBeGreaterThan(
            (changed.length / count) * 0.8,
          );
  },
);

test.each([3, 10, 100])("a target joins %d others: it takes its share, and nothing else moves", (count) => {
  const targets = targetsOf(count + 1);
  const balancer = consistentHash(targets.slice(0, -1));
  const before = ownersOf(balancer);
  const newcomer = targets.at(-1)!;
  balancer.update(targets);
  const after = ownersOf(balancer);
  const changed = moved(before, after);
  expect(changed.length).toBeLessThan((KEYS.length / (count + 1)) * 1.1);
  expect(changed.length).toBeGreaterThan((KEYS.length / (count + 1)) * 0.85);
  expect(changed.every((i) => after[i] === newcomer.id)).toBe(true);
});

test("a target that leaves and comes back has the keys that it had", () => {
  const targets = targetsOf(5);
  const balancer = consistentHash(targets);
  const before = ownersOf(balancer);
  balancer.update(targets.slice(0, 4));
  ownersOf(balancer);
  balancer.update(targets);
  expect(ownersOf(balancer)).toEqual(before);
});

test("who owns what depends on ids and weights only, not on the order or on what was before", () => {
  const keys = KEYS.subarray(0, 300);
  const weight = fc.constantFrom(0.5, 1, 1, 1, 2, 3);
  const set = fc.uniqueArray(fc.record({ id: fc.stringMatching(/^[a-p]$/), weight }), {
    selector: ({ id }) => id,
    minLength: 1,
  });
  fc.assert(
    fc.property(fc.array(set, { minLength: 2, maxLength: 30 }), fc.boolean(), (sets, askedBetween) => {
      const balancer = consistentHash([]);
      for (const members of sets) {
        balancer.update(members.map(({ id, weight: w }) => new FakeTarget(id, w)));
        if (askedBetween) ownersOf(balancer, keys);
      }
      const last = sets.at(-1)!.toReversed();
      const fresh = consistentHash(last.map(({ id, weight: w }) => new FakeTarget(id, w)));
      expect(ownersOf(balancer, keys)).toEqual(ownersOf(fresh, keys));
    }),
  );
});

test("another weight moves keys towards the target or away from it, never among the others", () => {
  const change = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }));
  const keys = KEYS.subarray(0, 2_000);
  fc.assert(
    fc.property(
      change,
      fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 6 }),
      ([from, to], rest) => {
        const others = rest.map((weight, i) => new FakeTarget(`${i}`, weight));
        const balancer = consistentHash([new FakeTarget("x", from), ...others]);
        const before = ownersOf(balancer, keys);
        balancer.update([new FakeTarget("x", to), ...others]);
        const after = ownersOf(balancer, keys);
        for (const i of moved(before, after)) expect(to > from ? after[i] : before[i]).toBe("x");
      },
    ),
  );
});

test("weights are honoured", () => {
  const balancer = consistentHash([3, 1, 0.5].map((weight) => new FakeTarget(`${weight}`, weight)));
  const owners = ownersOf(balancer);
  for (const weight of [3, 1, 0.5]) {
    const share = owners.filter((id) => id === `${weight}`).length / KEYS.length;
    expect(Math.abs(share - weight / 4.5)).toBeLessThan(0.01);
  }
});

test("while an owner is not usable, its keys go where they would go if it had left", () => {
  const keys = KEYS.subarray(0, 200);
  const sizes = fc.array(fc.record({ weight: fc.integer({ min: 1, max: 5 }), usable: fc.boolean() }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(sizes, (list) => {
      const targets = list.map(({ weight }, i) => new FakeTarget(`${i}`, weight));
      const fit = targets.filter((_, i) => list[i]!.usable);
      const [balancer, without] = [consistentHash(targets), consistentHash(fit)];
      for (const key of keys)
        expect(balancer.pick(0, key, (target) => fit.includes(target))).toBe(without.pick(0, key, undefined));
      expect(balancer.pick(0, undefined, () => false)).toBeUndefined();
    }),
  );
});

test("in slow start keys come back one after the other, and each moves once", () => {
  const targets = targetsOf(4);
  const back = targets[2]!;
  const away = ownersOf(consistentHash(targets.filter((target) => target !== back)));
  const all = ownersOf(consistentHash(targets));
  const share = all.filter((id) => id === back.id).length;
  const balancer = consistentHash(targets);
  let held = new Set<number>();
  for (const ramp of [0.1, 0.25, 0.5, 0.75, 1]) {
    back.ramp = ramp;
    const now = ownersOf(balancer);
    for (const [i, id] of now.entries()) if (id !== back.id) expect(id).toBe(away[i]!);
    const holds = new Set(now.flatMap((id, i) => (id === back.id ? [i] : [])));
    expect(holds.isSupersetOf(held)).toBe(true);
    expect(holds.size / share).toBeCloseTo(ramp, 1);
    held = holds;
  }
  expect(held.size).toBe(share);
});

test("requests without a key are spread by weight", () => {
  const [a, b] = [new FakeTarget("a", 3), new FakeTarget("b", 1)];
  const balancer = consistentHash([a, b]);
  const picked = Array.from({ length: 10_000 }, () => balancer.pick(0, undefined, undefined));
  expect(picked.filter((target) => target === a).length / 10_000).toBeCloseTo(0.75, 1);
});
