import { expect, test } from "bun:test";
import fc from "fast-check";
import { createSeededRandom } from "sluice/testing";
import { createBalancer } from "./index.ts";
import { mix } from "./hash.ts";
import { ramp } from "./slow-start.ts";
import { ALGORITHMS, FakeTarget } from "./test-simulation.ts";

const state = fc.record({
  id: fc.stringMatching(/^[a-j]$/),
  weight: fc.oneof(fc.integer({ min: 1, max: 1_000_000 }), fc.double({ min: 1e-3, max: 10, noNaN: true })),
  inFlight: fc.nat(5),
  latency: fc.nat(100),
  ramp: fc.constantFrom(1, 1, 0.1, 0.5),
  usable: fc.boolean(),
});
const targetList = fc.uniqueArray(state, { selector: ({ id }) => id, maxLength: 10 });
const history = fc.array(fc.record({ list: targetList, picks: fc.nat(30) }), { minLength: 1, maxLength: 6 });
const hash = (i: number): number | undefined => (i % 5 === 0 ? undefined : mix(i));

test.each(ALGORITHMS)("%s: never an unusable target, always a usable one where there is one", (algorithm) => {
  fc.assert(
    fc.property(history, fc.nat(), (steps, seed) => {
      const balancer = createBalancer<FakeTarget>(algorithm, createSeededRandom(seed));
      let now = 0;
      for (const { list, picks } of steps) {
        const usable = new Set<FakeTarget>();
        const targets = list.map((one) => {
          const target: FakeTarget = Object.assign(new FakeTarget(one.id, one.weight), {
            inFlight: one.inFlight,
            ramp: one.ramp,
          });
          if (one.latency > 0) target.latency.observe(one.latency, now);
          if (one.usable) usable.add(target);
          return target;
        });
        balancer.update(targets);
        for (let i = 0; i < picks; i++) {
          now += 50;
          const [any, fit] = [
            balancer.pick(now, hash(i), undefined),
            balancer.pick(now, hash(i), (target) => usable.has(target)),
          ];
          expect(any === undefined ? targets.length === 0 : targets.includes(any)).toBe(true);
          expect(fit === undefined ? usable.size === 0 : usable.has(fit)).toBe(true);
        }
      }
    }),
  );
});

test.each(ALGORITHMS)("%s: the same seed gives the same picks", (algorithm) => {
  const picks = (): string[] => {
    const balancer = createBalancer<FakeTarget>(algorithm, createSeededRandom(7));
    balancer.update(["a", "b", "c"].map((id) => new FakeTarget(id)));
    return Array.from({ length: 50 }, (_, i) => balancer.pick(i, hash(i), undefined)!.id);
  };
  expect(picks()).toEqual(picks());
});

test.each(ALGORITHMS)("%s: 10,000 requests to weights of 3 and 1 are three to one", (algorithm) => {
  const targets = [new FakeTarget("a", 3), new FakeTarget("b", 1)];
  const balancer = createBalancer<FakeTarget>(algorithm, createSeededRandom(1));
  balancer.update(targets);
  const counts = new Map(targets.map((target) => [target, 0]));
  // One a millisecond; each is answered, after about as long, before the next one comes.
  const random = createSeededRandom(2);
  for (let now = 0; now < 10_000; now++) {
    const target = balancer.pick(now, mix(now), undefined)!;
    target.latency.observe(0.8 + random.next() * 0.2, now + 0.9);
    counts.set(target, counts.get(target)! + 1);
  }
  const [heavy, light] = [...counts.values()];
  console.log(`${algorithm}: ${heavy} to ${light}`);
  if (algorithm === "round-robin") expect([heavy, light]).toEqual([7_500, 2_500]);
  // Five standard deviations of ten thousand draws.
  expect(Math.abs(heavy! - 7_500)).toBeLessThan(5 * Math.sqrt(10_000 * 0.75 * 0.25));
});

test.each(ALGORITHMS)("%s: a target that comes back takes up its share over slow start", (algorithm) => {
  const [stayed, back] = [new FakeTarget("stayed"), new FakeTarget("back")];
  const balancer = createBalancer<FakeTarget>(algorithm, createSeededRandom(1));
  balancer.update([stayed]);
  for (let now = 0; now < 100; now++) balancer.pick(now, mix(now), undefined);
  balancer.update([stayed, back]);
  const tenths = new Float64Array(11);
  for (let i = 0; i < 110_000; i++) {
    const sinceMs = i / 10;
    back.ramp = ramp(sinceMs, 10_000);
    if (balancer.pick(100 + sinceMs, mix(i), undefined) === back) tenths[Math.floor(i / 10_000)]!++;
  }
  const shares = [...tenths].map((count) => count / 10_000);
  console.log(
    `${algorithm}: its share in each tenth of slow start, and after it: ${shares.map((share) => share.toFixed(2)).join(" ")}`,
  );
  for (const [i, share] of shares.entries()) {
    const ramped = ramp((i + 0.5) * 1_000, 10_000);
    // Of a key's two targets one has it or the other, hence the ramp is that of its half of the keys.
    const expected = algorithm === "consistent-hash" ? ramped / 2 : ramped / (1 + ramped);
    expect(Math.abs(share - expected)).toBeLessThan(0.03);
  }
});

test.each(ALGORITHMS)("%s: a thousand targets of one weight all get requests", (algorithm) => {
  const targets = Array.from({ length: 1_000 }, (_, i) => new FakeTarget(`${i}`));
  const balancer = createBalancer<FakeTarget>(algorithm, createSeededRandom(1));
  balancer.update(targets);
  const asked = new Set(Array.from({ length: 20_000 }, (_, i) => balancer.pick(i / 100, mix(i), undefined)));
  expect(asked.size).toBe(1_000);
});
