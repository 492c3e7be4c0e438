import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Body, BodyQueue, BytesBody, collect, HeaderList } from "sluice/plugin";
import { ReplayBody } from "./replay-body.ts";

type Chunk = Uint8Array | null;

const text = (chunk: Chunk | Promise<Chunk> | undefined) => {
  if (chunk instanceof Promise) throw new Error("it had to be waited for");
  return chunk && Buffer.from(chunk).toString();
};
const bytes = (value: string) => new Uint8Array(Buffer.from(value));

/** What a promise rejects with. */
const failureOf = (promise: Chunk | Promise<Chunk>): Promise<unknown> =>
  Promise.resolve(promise).then(
    () => undefined,
    (error: unknown) => error,
  );

/** A client's body, and what its connection was told. */
function client(length?: number) {
  const told: string[] = [];
  const queue = new BodyQueue(
    {
      pause: () => told.push("pause"),
      resume: () => told.push("resume"),
      cancelled: (reason) => told.push(`cancelled: ${String(reason)}`),
    },
    length,
  );
  return { queue, told };
}

/** The same body, for who can only read it; its chunks are the reader's own. */
function readOnly(body: Body): Body {
  return {
    length: body.length,
    get trailers() {
      return body.trailers;
    },
    read: () => body.read(),
    cancel: (reason) => body.cancel(reason),
    own: () => true,
  };
}

test("what was read is read again, and then the rest", async () => {
  const { queue } = client(11);
  const body = new ReplayBody(queue, 100);
  expect(body.length).toBe(11);
  queue.push(bytes("hello"));
  expect(text(body.read())).toBe("hello");
  expect(body.rewind()).toBe(true);
  expect(text(body.read())).toBe("hello");
  const rest = body.read();
  queue.push(bytes(" world"));
  expect(text(await rest)).toBe(" world");
  expect(body.rewind()).toBe(true);
  const trailers = new HeaderList(["checksum", "1"]);
  queue.end(trailers);
  expect(await collect(body, 100)).toEqual(bytes("hello world"));
  expect(body.trailers).toBe(trailers);
  expect(text(body.read())).toBeNull();
  expect(body.rewind()).toBe(true);
  expect(await collect(body, 100)).toEqual(bytes("hello world"));
});

test("the chunk for which a try waits that is given up is the next one's", async () => {
  for (const wrap of [(body: Body) => body, readOnly]) {
    const { queue } = client();
    const body = new ReplayBody(wrap(queue), 100);
    const first = failureOf(body.read());
    expect(body.rewind()).toBe(true);
    expect(await first).toEqual(new Error("another try reads the body"));
    // It comes in while nobody reads.
    queue.push(bytes("one"));
    await Promise.resolve();
    expect(text(body.read())).toBe("one");
    const second = failureOf(body.read());
    body.rewind();
    await second;
    expect(text(body.read())).toBe("one");
    const third = body.read();
    queue.push(bytes("two"));
    expect(text(await third)).toBe("two");
    queue.end();
    await Promise.resolve();
    expect(text(body.read())).toBeNull();
  }
});

test("above the limit nothing is kept, and there is no way back", () => {
  const { queue } = client();
  const body = new ReplayBody(queue, 8);
  for (const piece of ["1234", "5678"]) {
    queue.push(bytes(piece));
    void body.read();
  }
  expect(body.rewind()).toBe(true);
  expect(text(body.read())).toBe("12345678");
  queue.push(bytes("9"));
  expect(text(body.read())).toBe("9");
  expect(body.rewind()).toBe(false);
  queue.push(bytes("and on"));
  expect(text(body.read())).toBe("and on");
});

test("a body that is known to be too long is not even begun to be kept", () => {
  const { queue } = client(1_000);
  const body = new ReplayBody(queue, 999);
  // As long as nothing was read, that is no matter.
  expect(body.rewind()).toBe(true);
  queue.push(bytes("a"));
  void body.read();
  expect(body.rewind()).toBe(false);
});

test("a source that goes back by itself does so where nothing is kept", () => {
  const body = new ReplayBody(new BytesBody(bytes("long enough")), 3);
  for (let i = 0; i < 3; i++) {
    expect(text(body.read())).toBe("long enough");
    expect(text(body.read())).toBeNull();
    expect(body.rewind()).toBe(true);
  }
});

test("a try that fails does not cancel the client's body; the last one does", async () => {
  const { queue, told } = client();
  const body = new ReplayBody(queue, 100);
  queue.push(bytes("one"));
  void body.read();
  const waiting = failureOf(body.read());
  body.cancel("broken");
  expect(await waiting).toBe("broken");
  expect(() => body.read()).toThrow("the body was cancelled");
  expect(told).toEqual([]);
  expect(body.rewind()).toBe(true);
  expect(text(body.read())).toBe("one");
  body.release();
  expect(body.rewind()).toBe(false);
  expect(told).toEqual([]);
  body.cancel("no need of the rest");
  expect(told).toEqual(["cancelled: no need of the rest"]);
});

test("what was cancelled before it is released is cancelled then", () => {
  const { queue, told } = client();
  const body = new ReplayBody(queue, 100);
  body.cancel("answered already");
  body.release();
  body.release();
  expect(told).toEqual(["cancelled: answered already"]);
});

test("released in the middle of what was kept, it is read to its end all the same", async () => {
  const { queue } = client();
  const body = new ReplayBody(queue, 100_000);
  const large = new Uint8Array(20_000).fill(1);
  queue.push(large);
  queue.push(large);
  void body.read();
  void body.read();
  body.rewind();
  void body.read();
  body.release();
  queue.push(bytes("end"));
  queue.end();
  expect((await collect(body, 100_000))!.byteLength).toBe(20_003);
});

test("a client that breaks off: every try learns it, behind what came before", async () => {
  const { queue } = client();
  const body = new ReplayBody(readOnly(queue), 100);
  queue.push(bytes("one"));
  void body.read();
  const first = failureOf(body.read());
  const error = new Error("reset");
  queue.fail(error);
  expect(await first).toBe(error);
  expect(() => body.read()).toThrow(error);
  // There is nothing that a further try could complete.
  expect(body.rewind()).toBe(false);
});

test("the whole of it can be read beside, once it is there", async () => {
  const { queue } = client();
  const body = new ReplayBody(queue, 50_000);
  expect(body.whole()).toBeUndefined();
  queue.push(new Uint8Array(20_000).fill(1));
  queue.push(new Uint8Array(20_000).fill(2));
  void body.read();
  void body.read();
  expect(body.whole()).toBeUndefined();
  const trailers = new HeaderList(["checksum", "1"]);
  queue.end(trailers);
  void body.read();
  const [one, other] = [body.whole()!, body.whole()!];
  expect(one).toMatchObject({ length: 40_000, trailers });
  for (const copy of [one, other, body.rewind() ? body : one]) {
    const all = await collect(copy, 50_000);
    expect(Bun.hash(all!)).toBe(
      Bun.hash(Buffer.concat([new Uint8Array(20_000).fill(1), new Uint8Array(20_000).fill(2)])),
    );
  }
  const empty = new ReplayBody(new BytesBody(new Uint8Array(0)), 10);
  void empty.read();
  expect(empty.whole()!.length).toBe(0);
  const long = new ReplayBody(new BytesBody(bytes("too long")), 3);
  await collect(long, 100);
  expect(long.whole()).toBeUndefined();
});

test("who polls is told when there is something, whoever has waited for it before", async () => {
  for (const wrap of [(body: Body) => body, readOnly]) {
    const { queue } = client();
    const body = new ReplayBody(wrap(queue), 100);
    const told = async () => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const by = body.poll();
      expect(by).toBeUndefined();
      body.wait(() => resolve("told"));
      const nobody = new Promise<string>((done) => setImmediate(() => done("not told")));
      return Promise.race([promise, nobody]);
    };
    expect(await told()).toBe("not told");
    const arrives = (piece: string) => queueMicrotask(() => queue.push(bytes(piece)));
    arrives("one");
    expect(await told()).toBe("told");
    expect(text(body.poll())).toBe("one");
    // After a read that was given up.
    const read = failureOf(body.read());
    body.rewind();
    await read;
    expect(text(body.poll())).toBe("one");
    arrives("two");
    expect(await told()).toBe("told");
    expect(text(body.poll())).toBe("two");
    // A try that waited in this way hears nothing any more; the next one does.
    expect(await told()).toBe("not told");
    body.rewind();
    expect(text(body.poll())).toBe("onetwo");
    queueMicrotask(() => queue.end());
    expect(await told()).toBe("told");
    expect(text(body.poll())).toBeNull();
  }
  const { queue } = client();
  const body = new ReplayBody(queue, 100);
  void body.poll();
  const told = new Promise<string>((resolve) => body.wait(() => resolve("told")));
  body.cancel();
  expect(await told).toBe("told");
  expect(() => body.poll()).toThrow("cancelled");
});

test("memory: nothing is read ahead, and single bytes do not pile up as objects of their own", () => {
  const { queue, told } = client();
  const body = new ReplayBody(queue, 100_000);
  queue.push(new Uint8Array(70_000));
  expect(told).toEqual(["pause"]);
  expect(queue.buffered).toBe(70_000);
  expect(text(body.read())).toHaveLength(70_000);
  Bun.gc(true);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 30_000; i++) {
    queue.push(bytes("x"));
    void body.read();
  }
  Bun.gc(true);
  // The 30,000 bytes and some room.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000);
  expect(body.rewind()).toBe(true);
});

test("however it comes in, is read, given up and read again: each try sees the same bytes", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ push: fc.oneof(fc.nat(5), fc.constantFrom(1_023, 1_024, 5_000)) }) },
    { weight: 4, arbitrary: fc.constant("read" as const) },
    { weight: 3, arbitrary: fc.constant("poll" as const) },
    { weight: 2, arbitrary: fc.constant("rewind" as const) },
    { weight: 1, arbitrary: fc.constant("cancel" as const) },
    { weight: 1, arbitrary: fc.constant("turn" as const) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 80 }),
      fc.constantFrom(0, 1, 100, 3_000, 10_000, 1_000_000),
      fc.boolean(),
      fc.boolean(),
      async (steps, limit, polled, released) => {
        const { queue, told } = client();
        const body = new ReplayBody(polled ? queue : readOnly(queue), limit);
        const sent: number[] = [];
        /** What the present try has read, and the most that any has. */
        let got: number[] = [];
        let most = 0;
        let cancelled = false;
        let reading: Promise<void> | undefined;
        let outstanding = 0;
        let owned = body.own();
        let tries = 1;
        const take = (chunk: Chunk) => {
          if (chunk === null) return;
          for (const byte of chunk) got.push(byte);
          most = Math.max(most, got.length);
          expect(got).toEqual(sent.slice(0, got.length));
          // Who owns it may do what they like with it.
          if (owned) chunk.fill(0xee);
        };
        const read = () => {
          if (reading !== undefined) return;
          const mine = tries;
          const at = got.length;
          const next = body.read();
          if (!(next instanceof Promise)) return take(next);
          outstanding++;
          reading = next.then(
            (chunk) => {
              outstanding--;
              // It was here before the try was given up, and its reader hears of it late.
              most = Math.max(most, at + (chunk?.byteLength ?? 0));
              if (tries > mine || cancelled) return;
              reading = undefined;
              take(chunk);
            },
            () => {
              outstanding--;
              expect(tries > mine || cancelled).toBe(true);
            },
          );
        };
        for (const one of steps) {
          if (one === "rewind") {
            const rewindable = body.rewindable;
            const again = body.rewind();
            expect(again).toBe(rewindable);
            if (again) expect(most).toBeLessThanOrEqual(limit);
            else expect(outstanding === 0 ? most : sent.length).toBeGreaterThan(limit);
            if (!again) continue;
            tries++;
            got = [];
            cancelled = false;
            reading = undefined;
            owned = body.own();
          } else if (one === "cancel") {
            body.cancel("this try");
            cancelled = true;
            reading = undefined;
          } else if (one === "turn") await Promise.resolve();
          else if (typeof one === "object") {
            const chunk = Uint8Array.from({ length: one.push }, (_, i) => sent.length + i);
            sent.push(...chunk);
            queue.push(chunk);
          } else if (cancelled) {
            expect(() => (one === "read" ? body.read() : body.poll())).toThrow("cancelled");
          } else if (one === "read") read();
          else if (reading === undefined) {
            const chunk = body.poll();
            if (chunk === undefined) body.wait(() => undefined);
            else take(chunk);
          }
        }
        expect(told.filter((line) => line.startsWith("cancelled"))).toEqual([]);
        if (cancelled && !body.rewind()) {
          body.release();
          expect(told.at(-1)).toBe("cancelled: this try");
          return;
        }
        if (cancelled) {
          tries++;
          got = [];
          cancelled = false;
        }
        // The last try goes on to the end.
        if (released) body.release();
        queue.end();
        await reading;
        for (;;) {
          const next = body.read();
          const chunk = next instanceof Promise ? await next : next;
          if (chunk === null) break;
          owned = false;
          take(chunk);
        }
        expect(got).toEqual(sent.map((byte) => byte & 0xff));
        body.release();
        body.cancel("over");
      },
    ),
    { numRuns: 400 },
  );
});
