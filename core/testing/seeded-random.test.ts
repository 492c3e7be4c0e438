import { expect, test } from "bun:test";
import { createSeededRandom } from "./seeded-random.ts";

test("one seed gives one sequence, another seed another", () => {
  const draw = (seed: number) => {
    const random = createSeededRandom(seed);
    return [random.next(), random.uuid(), random.hex(8)];
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test("numbers spread over [0, 1)", () => {
  const random = createSeededRandom(1);
  const buckets = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) buckets[Math.floor(random.next() * 10)]!++;
  for (const count of buckets) expect(count).toBeWithin(850, 1_150);
});

test("UUIDs are version 4, hex is as long as asked", () => {
  const random = createSeededRandom(42);
  for (let i = 0; i < 100; i++)
    expect(random.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(random.hex(16)).toMatch(/^[0-9a-f]{32}$/);
});
