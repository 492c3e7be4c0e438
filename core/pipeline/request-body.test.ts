import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Body, type BodyProducer, BodyQueue, collect, HeaderList, SluiceError } from "sluice/plugin";
import { RequestBody } from "./request-body.ts";
import type { RequestRecord } from "./types.ts";

const PRODUCER: BodyProducer = { pause() {}, resume() {}, cancelled() {} };

function counter(): RequestRecord {
  return { bytesIn: 0 } as RequestRecord;
}

async function text(body: Body): Promise<string> {
  return Buffer.from((await collect(body, 1_000_000))!).toString("latin1");
}

function filled(chunks: readonly string[], trailers?: HeaderList): BodyQueue {
  const queue = new BodyQueue(PRODUCER);
  for (const chunk of chunks) queue.push(Buffer.from(chunk, "latin1"));
  queue.end(trailers);
  return queue;
}

describe("a request body", () => {
  test("passes, is counted once, and ends in its trailers", async () => {
    const record = counter();
    const body = new RequestBody(filled(["ab", "c"], new HeaderList(["x-t", "1"])), record);
    expect(await text(body)).toBe("abc");
    expect(record.bytesIn).toBe(3);
    expect(body.trailers?.get("x-t")).toBe("1");
    expect(body.rewind()).toBe(false);
  });

  test("what a plugin read goes upstream, however it is cut and however far it read", async () => {
    const chunks = fc.array(fc.string({ minLength: 1, maxLength: 5, unit: "binary-ascii" }), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(chunks, fc.nat(10), fc.boolean(), async (parts, reads, late) => {
        const record = counter();
        const queue = new BodyQueue(PRODUCER);
        const push = async (): Promise<void> => {
          for (const part of parts) {
            if (late) await Promise.resolve();
            queue.push(Buffer.from(part, "latin1"));
          }
          queue.end();
        };
        const pushed = push();
        const body = new RequestBody(queue, record);
        const tap = body.tap();
        let seen = "";
        for (let i = 0; i < reads; i++) {
          const chunk = await tap.read();
          if (chunk === null) break;
          seen += Buffer.from(chunk).toString("latin1");
        }
        const whole = parts.join("");
        expect(whole.startsWith(seen)).toBe(true);
        expect(await text(body)).toBe(whole);
        expect(record.bytesIn).toBe(whole.length);
        // Everything was read for the plugin, so that it can be had again.
        if (body.rewind()) expect(await text(body)).toBe(whole);
        else expect(seen.length).toBeLessThan(whole.length);
        await pushed;
      }),
      { numRuns: 60 },
    );
  });

  test("two looks at it begin at its first byte each", async () => {
    const body = new RequestBody(filled(["one", "two"]), counter());
    expect(await text(body.tap())).toBe("onetwo");
    expect(await text(body.tap())).toBe("onetwo");
    expect(await text(body)).toBe("onetwo");
  });

  test("an upstream that begins while a plugin's read is under way waits for it", async () => {
    const queue = new BodyQueue(PRODUCER);
    const body = new RequestBody(queue, counter());
    const forPlugin = body.tap().read();
    const upstream = text(body);
    queue.push(Buffer.from("a"));
    queue.push(Buffer.from("b"));
    queue.end();
    expect(Buffer.from((await forPlugin)!).toString()).toBe("a");
    expect(await upstream).toBe("ab");
  });

  test("a plugin cannot read along once it goes upstream", async () => {
    const body = new RequestBody(filled(["a", "b"]), counter());
    await body.read();
    expect(() => body.tap().read()).toThrow("on its way upstream");
  });

  test("beyond the limit the plugin reads on, and nothing can be forwarded", async () => {
    const body = new RequestBody(filled(["abc", "def"]), counter(), 4);
    expect(await text(body.tap())).toBe("abcdef");
    expect(body.rewind()).toBe(false);
    expect(() => body.read()).toThrow(SluiceError);
  });

  test("given up before it ended, it is gone; afterwards it can be had again", async () => {
    const unread = new RequestBody(filled(["a"]), counter());
    unread.cancel();
    expect(unread.rewind()).toBe(false);
    const kept = new RequestBody(filled(["a"]), counter());
    await text(kept.tap());
    kept.cancel();
    expect(kept.read()).toBeNull();
    expect(kept.rewind()).toBe(true);
    expect(await text(kept)).toBe("a");
  });

  test("one that breaks off fails for whoever reads", async () => {
    const queue = new BodyQueue(PRODUCER);
    const body = new RequestBody(queue, counter());
    const read = body.tap().read();
    queue.fail(new Error("broken off"));
    expect(await Promise.resolve(read).catch(String)).toBe("Error: broken off");
    expect(await Promise.resolve(body.read()).catch(String)).toBe("Error: broken off");
  });
});
