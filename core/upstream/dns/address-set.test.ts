import { expect, test } from "bun:test";
import fc from "fast-check";
import { addressSet, MAX_ADDRESSES, sameAddresses } from "./address-set.ts";
import type { FoundAddress } from "./look-up.ts";

const plain = (address: string): FoundAddress => ({
  address,
  port: undefined,
  weight: undefined,
  priority: undefined,
});
const service = (host: string, address: string, weight: number, priority = 0, port = 80): FoundAddress => ({
  address,
  port,
  weight,
  priority,
  host,
});
const weights = (found: readonly FoundAddress[]) =>
  addressSet(found).addresses.map(({ address, weight }) => [address, weight]);

test("each address once, in an order of its own and one spelling", () => {
  const found = ["10.0.0.2", "fd00:0::1", "10.0.0.1", "FD00::1", "::ffff:10.0.0.1", "fe80::1%eth0"].map(
    plain,
  );
  expect(addressSet(found).addresses.map(({ address }) => address)).toEqual([
    ...["10.0.0.1", "10.0.0.2", "fd00::1", "fe80::1%eth0"],
  ]);
});

test("a record's weight is shared by its target's addresses, and records of one place add up", () => {
  expect(
    weights([service("a", "10.0.0.1", 6), service("a", "10.0.0.2", 6), service("b", "10.0.0.3", 6)]),
  ).toEqual([
    ["10.0.0.1", 3],
    ["10.0.0.2", 3],
    ["10.0.0.3", 6],
  ]);
  expect(weights([service("a", "10.0.0.1", 2), service("b", "10.0.0.1", 3)])).toEqual([["10.0.0.1", 5]]);
  // Other ports are other places.
  expect(weights([service("a", "10.0.0.1", 2), service("a", "10.0.0.1", 3, 0, 81)])).toEqual([
    ["10.0.0.1", 2],
    ["10.0.0.1", 3],
  ]);
});

test("a weight of zero is a small chance beside others, and an even one among its like", () => {
  expect(weights([service("a", "10.0.0.1", 0), service("b", "10.0.0.2", 3)])).toEqual([
    ["10.0.0.1", 1],
    ["10.0.0.2", 300],
  ]);
  // Another priority is another choice.
  expect(
    weights([service("a", "10.0.0.1", 0), service("b", "10.0.0.2", 0), service("c", "10.0.0.3", 3, 1)]),
  ).toEqual([
    ["10.0.0.1", 1],
    ["10.0.0.2", 1],
    ["10.0.0.3", 3],
  ]);
});

test("a place of two priorities has the better one", () => {
  const both = [service("b", "10.0.0.1", 7, 2), service("a", "10.0.0.1", 5, 1)];
  expect(addressSet(both).addresses).toEqual([{ address: "10.0.0.1", port: 80, weight: 5, priority: 1 }]);
});

test("of too many addresses the first are used", () => {
  const found = Array.from({ length: MAX_ADDRESSES + 3 }, (_, i) => plain(`10.0.${i >> 8}.${i & 255}`));
  const all = addressSet(found.slice(0, MAX_ADDRESSES));
  expect([all.addresses.length, all.truncated]).toEqual([MAX_ADDRESSES, false]);
  const some = addressSet(found.toReversed());
  expect([some.addresses.length, some.truncated]).toEqual([MAX_ADDRESSES, true]);
  expect(sameAddresses(some.addresses, addressSet(found).addresses)).toBe(true);
});

const anyFound: fc.Arbitrary<FoundAddress> = fc.oneof(
  fc.ipV4().map(plain),
  fc.ipV6().map(plain),
  fc
    .tuple(
      fc.constantFrom("a", "b", "c"),
      fc.constantFrom("10.0.0.1", "10.0.0.2", "::1", "0:0::1"),
      fc.constantFrom(0, 1, 3, 65_535),
      fc.constantFrom(0, 1),
      fc.constantFrom(80, 81),
    )
    .map((parts) => service(...parts)),
);

test("the set depends on what was found alone: not on order, not on repeats", () => {
  fc.assert(
    fc.property(fc.array(anyFound, { maxLength: 40 }), fc.infiniteStream(fc.nat()), (found, chance) => {
      const { addresses } = addressSet(found);
      const shuffled = [...found, ...found]
        .map((one) => [chance.next().value!, one] as const)
        .sort(([one], [other]) => one - other)
        .map(([, one]) => one);
      expect(addressSet(shuffled).addresses).toEqual(addresses);
      expect(sameAddresses(addresses, addressSet(shuffled).addresses)).toBe(true);
      expect(new Set(addresses.map(({ address, port }) => `${address} ${port}`)).size).toBe(addresses.length);
      for (const { weight } of addresses) expect(weight === undefined || weight > 0).toBe(true);
    }),
  );
});
