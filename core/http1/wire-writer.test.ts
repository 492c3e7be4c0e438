import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Wire } from "./wire.ts";
import { WireWriter } from "./wire-writer.ts";

/** A wire that takes what `room` says, a write at a time. */
function wireOf(room: number[]): Wire & { readonly written: number[] } {
  const written: number[] = [];
  const nothing = (): void => undefined;
  return {
    ...{ written, pause: nothing, resume: nothing, end: nothing, close: nothing, destroy: nothing },
    write(bytes, length = bytes.byteLength) {
      const taken = Math.min(room.shift() ?? Infinity, length);
      for (let i = 0; i < taken; i++) written.push(bytes[i]!);
      return taken;
    },
  };
}

/** A buffer as a socket fills it. */
const read = (size: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length: size }, (_, i) => i % 251);
const isFreed = ({ buffer }: Uint8Array<ArrayBuffer>): boolean => buffer.detached;

test("chunks of an owned body are freed when they are written, and not before", () => {
  const writer = new WireWriter(wireOf([10_000]));
  writer.frees = true;
  const chunk = read(20_000);
  writer.write(chunk);
  expect([writer.blocked, isFreed(chunk)]).toEqual([true, false]);
  expect(writer.drained()).toBe(true);
  expect(isFreed(chunk)).toBe(true);
});

test("nothing is freed of what nobody owns", () => {
  const writer = new WireWriter(wireOf([]));
  const before = read(20_000);
  writer.write(before);
  writer.frees = true;
  writer.frees = false;
  const after = read(20_000);
  writer.write(after);
  expect([isFreed(before), isFreed(after)]).toEqual([false, false]);
});

test.each([
  ["begins with another message", (all: Uint8Array<ArrayBuffer>) => [all.subarray(200)]],
  ["ends with another message", (all: Uint8Array<ArrayBuffer>) => [all.subarray(0, 19_000)]],
  [
    "has another message's end in its first chunk",
    (all: Uint8Array<ArrayBuffer>) => [all.subarray(1, 10_000), all.subarray(10_000)],
  ],
])("a buffer that %s stays", (_, chunksOf) => {
  const writer = new WireWriter(wireOf([]));
  writer.frees = true;
  const all = read(20_000);
  for (const chunk of chunksOf(all)) writer.write(chunk);
  expect(isFreed(all)).toBe(false);
});

test("what waited for the wire before the body was owned stays", () => {
  const writer = new WireWriter(wireOf([100]));
  const head = read(20_000);
  writer.write(head);
  writer.frees = true;
  const body = read(20_000);
  writer.write(body);
  writer.drained();
  expect([isFreed(head), isFreed(body)]).toEqual([false, true]);
});

test("however buffers are cut and however the wire takes them, every byte is written once", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 19_999 }), { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(cuts, { minLength: 1, maxLength: 4 }), fc.array(fc.nat(15_000)), (buffers, room) => {
      const wire = wireOf([...room]);
      const writer = new WireWriter(wire);
      writer.frees = true;
      const all = buffers.map((at) => ({
        at: [0, ...new Set(at.toSorted((a, b) => a - b)), 20_000],
        bytes: read(20_000),
      }));
      for (const { at, bytes } of all)
        for (let i = 1; i < at.length; i++) writer.write(bytes.subarray(at[i - 1], at[i]));
      while (!writer.drained());
      expect(wire.written.length).toBe(all.length * 20_000);
      expect(wire.written.every((byte, i) => byte === (i % 20_000) % 251)).toBe(true);
      expect(all.every(({ bytes }) => isFreed(bytes))).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test("of what is written once, the wire gets a copy of what it does not take", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat(255), { minLength: 1, maxLength: 8 }), { maxLength: 8 }),
      fc.array(fc.nat(9), { maxLength: 12 }),
      (messages, room) => {
        const wire = wireOf(room);
        const writer = new WireWriter(wire);
        const shared = new Uint8Array(8);
        for (const message of messages) {
          shared.set(message);
          expect(writer.writeOnce({ bytes: shared, length: message.length })).toBe(true);
          shared.fill(0);
        }
        while (!writer.drained());
        expect(wire.written).toEqual(messages.flat());
      },
    ),
  );
});
