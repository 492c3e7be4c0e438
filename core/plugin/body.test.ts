import { expect, test } from "bun:test";
import fc from "fast-check";
import { BodyQueue, BytesBody } from "./body.ts";

const NOBODY = { pause() {}, resume() {}, cancelled() {} };

test("what was read is not kept, though the queue never runs dry", async () => {
  const queue = new BodyQueue(NOBODY);
  const read: WeakRef<Uint8Array>[] = [];
  queue.push(new Uint8Array(16_384));
  for (let i = 0; i < 500; i++) {
    queue.push(new Uint8Array(16_384));
    read.push(new WeakRef(queue.read() as Uint8Array));
    // A turn's end lets go of what was looked at in it.
    await Bun.sleep(0);
  }
  Bun.gc(true);
  expect(queue.buffered).toBe(16_384);
  // The collector may take one or two on the stack for references.
  expect(read.filter((chunk) => chunk.deref() !== undefined).length).toBeLessThan(10);
});

test("small pieces that wait become large ones; large ones stay what they are", () => {
  const queue = new BodyQueue(NOBODY);
  const large = new Uint8Array(16_384);
  for (let i = 0; i < 20_000; i++) queue.push(Uint8Array.of(i));
  queue.push(large);
  for (let i = 0; i < 10; i++) queue.push(Uint8Array.of(i));
  expect(queue.buffered).toBe(20_000 + large.byteLength + 10);
  const sizes: number[] = [];
  for (let chunk = queue.read(); chunk instanceof Uint8Array; chunk = queue.read()) {
    sizes.push(chunk.byteLength);
    if (chunk.byteLength === large.byteLength) expect(chunk).toBe(large);
    // No more memory is behind a piece than twice its own.
    else expect(chunk.buffer.byteLength).toBeLessThanOrEqual(2 * chunk.byteLength);
  }
  expect(sizes).toEqual([8_192, 8_192, 3_616, 16_384, 10]);
});

test("bytes come out as they went in, whatever their pieces and whoever is faster", async () => {
  const step = fc.oneof(
    fc.record({ push: fc.oneof(fc.nat(5), fc.nat(2_000), fc.constantFrom(1_023, 1_024, 8_192, 20_000)) }),
    fc.record({ read: fc.constant(true) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200 }), fc.boolean(), async (steps, ends) => {
      let paused = false;
      const queue = new BodyQueue({
        pause: () => (paused = true),
        resume: () => (paused = false),
        cancelled() {},
      });
      const out: Buffer[] = [];
      const reading: Promise<void>[] = [];
      let waiting = false;
      const take = (chunk: Uint8Array | null) => {
        waiting = false;
        if (chunk !== null) out.push(Buffer.from(chunk));
      };
      const read = () => {
        if (waiting) return;
        const next = queue.read();
        if (next instanceof Promise) {
          waiting = true;
          reading.push(next.then(take));
        } else take(next);
      };
      let pushed = 0;
      const all: Buffer[] = [];
      for (const one of steps) {
        if ("read" in one) read();
        else {
          const piece = Buffer.alloc(one.push, 0).map(() => pushed++ % 251);
          all.push(Buffer.from(piece));
          queue.push(piece);
          await Promise.resolve();
        }
        expect(paused).toBe(paused ? queue.buffered > 32_768 : queue.buffered >= 65_536);
      }
      if (ends) queue.end();
      await Promise.resolve();
      while (queue.buffered > 0) read();
      if (waiting) queue.end();
      await Promise.all(reading);
      expect(Buffer.concat(out).equals(Buffer.concat(all))).toBe(true);
    }),
  );
});

test("who polls waits for what comes, be it bytes, the end, a failure or the cancelling by another", async () => {
  const events: readonly [string, (queue: BodyQueue) => void, unknown][] = [
    ["bytes", (queue) => queue.push(Uint8Array.of(7)), Uint8Array.of(7)],
    ["the end", (queue) => queue.end(), null],
    ["a failure", (queue) => queue.fail(new Error("broke off")), "broke off"],
    ["cancelling", (queue) => queue.cancel(), "the body was cancelled"],
  ];
  for (const [name, happens, expected] of events) {
    for (const before of [true, false]) {
      const queue = new BodyQueue(NOBODY);
      expect(queue.poll()).toBeUndefined();
      if (before) happens(queue);
      let woken = 0;
      queue.wait(() => void woken++);
      if (!before) happens(queue);
      // Whoever fills the queue is in the middle of something.
      expect([name, woken]).toEqual([name, 0]);
      await Promise.resolve();
      expect([name, woken]).toEqual([name, 1]);
      let said: unknown;
      try {
        said = queue.poll();
      } catch (error) {
        said = (error as Error).message;
      }
      expect(said).toEqual(expected);
      queue.push(Uint8Array.of(8));
      await Promise.resolve();
      expect(woken).toBe(1);
    }
  }
});

test("a part of some bytes is a body, which is read or copied once", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4, 5);
  const body = new BytesBody(bytes, undefined, 1, 4);
  expect([body.length, body.left]).toEqual([3, 3]);
  const target = new Uint8Array(6);
  expect(body.readInto(target, 2)).toBe(5);
  expect([...target]).toEqual([0, 0, 2, 3, 4, 0]);
  expect([body.left, body.read(), body.readInto(target, 0)]).toEqual([0, null, 0]);
  body.rewind();
  expect(body.read()).toEqual(Uint8Array.of(2, 3, 4));
});

test("bytes whose memory was taken away are not left", () => {
  const body = new BytesBody(new Uint8Array(300));
  const bytes = new Uint8Array(300);
  const taken = new BytesBody(bytes);
  bytes.buffer.transfer(0);
  expect([body.left, taken.left, taken.readInto(new Uint8Array(300), 0)]).toEqual([300, 0, 0]);
});
