import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Body, type BodyProducer, BodyQueue, collect, HeaderList, SluiceError } from "sluice/plugin";
import { type Passage, RequestBody } from "./request-body.ts";

const PRODUCER: BodyProducer = { pause() {}, resume() {}, cancelled() {} };

/** A request whose body it is. */
interface TestPassage extends Passage {
  departed: boolean;
  readonly request: { body: Body | null };
  /** How many reads of plugins are waiting for the client. */
  waiting: number;
}

function carried(source: Body, bufferedBody = 1_000): { body: RequestBody; passage: TestPassage } {
  const passage: TestPassage = {
    request: { body: null },
    record: { bytesIn: 0 },
    bufferedBody,
    departed: false,
    waiting: 0,
    waitsForClient() {
      passage.waiting++;
      return () => void passage.waiting--;
    },
  };
  const body = new RequestBody(source, passage, true);
  passage.request.body = body;
  return { body, passage };
}

/** The bytes that an upstream gets. */
function sent({ body, passage }: ReturnType<typeof carried>): Promise<string> {
  passage.departed = true;
  return text(body);
}

async function text(body: Body): Promise<string> {
  return Buffer.from((await collect(body, 1_000_000))!).toString("latin1");
}

/** All at hand, in these chunks. */
function filled(chunks: readonly string[], trailers?: HeaderList): Body {
  const left = chunks.map((chunk) => Buffer.from(chunk, "latin1"));
  return {
    length: undefined,
    trailers,
    read: () => left.shift() ?? null,
    cancel: () => void left.splice(0),
    own: () => true,
  };
}

describe("a request body", () => {
  test("passes, is counted once, and ends in its trailers", async () => {
    const made = carried(filled(["ab", "c"], new HeaderList(["x-t", "1"])));
    expect(await sent(made)).toBe("abc");
    expect(made.passage.record.bytesIn).toBe(3);
    expect(made.body.trailers?.get("x-t")).toBe("1");
    expect(made.body.rewind()).toBe(false);
  });

  test("is its reader's own only where nobody looks, and none keeps it", () => {
    const { body, passage } = carried(filled(["a"]));
    expect(body.own()).toBe(false);
    passage.departed = true;
    expect(body.own()).toBe(true);
  });

  test("what a plugin read goes upstream, however it is cut, read and how far", async () => {
    const chunks = fc.array(fc.string({ minLength: 1, maxLength: 5, unit: "binary-ascii" }), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(chunks, fc.nat(10), fc.boolean(), fc.boolean(), async (parts, reads, late, asIs) => {
        const queue = new BodyQueue(PRODUCER);
        const push = async (): Promise<void> => {
          for (const part of parts) {
            if (late) await Promise.resolve();
            queue.push(Buffer.from(part, "latin1"));
          }
          queue.end();
        };
        const pushed = push();
        const made = carried(queue);
        const look = asIs ? made.body : made.body.tap();
        let seen = "";
        for (let i = 0; i < reads; i++) {
          const chunk = await look.read();
          if (chunk === null) break;
          seen += Buffer.from(chunk).toString("latin1");
        }
        const whole = parts.join("");
        expect(whole.startsWith(seen)).toBe(true);
        expect(await sent(made)).toBe(whole);
        expect(made.passage.record.bytesIn).toBe(whole.length);
        // Everything was read for the plugin, so that it can be had again.
        if (made.body.rewind()) expect(await sent(made)).toBe(whole);
        else expect(seen.length).toBeLessThan(whole.length);
        await pushed;
      }),
      { numRuns: 100 },
    );
  });

  test("two looks at it begin at its first byte each", async () => {
    const made = carried(filled(["one", "two"]));
    expect(await text(made.body.tap())).toBe("onetwo");
    expect(await text(made.body)).toBe("onetwo");
    expect(await text(made.body.tap())).toBe("onetwo");
    made.body.lookAgain();
    expect(await text(made.body)).toBe("onetwo");
    expect(await sent(made)).toBe("onetwo");
  });

  test("two looks at a time get every byte each", async () => {
    const queue = new BodyQueue(PRODUCER);
    const { body } = carried(queue);
    const looks = [text(body.tap()), text(body), text(body.tap())];
    for (const part of ["a", "b", "c"]) {
      queue.push(Buffer.from(part));
      await Promise.resolve();
    }
    queue.end();
    expect(await Promise.all(looks)).toEqual(["abc", "abc", "abc"]);
  });

  test("an upstream that begins while a plugin's read is under way waits for it", async () => {
    const queue = new BodyQueue(PRODUCER);
    const made = carried(queue);
    const forPlugin = made.body.tap().read();
    expect(made.passage.waiting).toBe(1);
    const upstream = sent(made);
    queue.push(Buffer.from("a"));
    queue.push(Buffer.from("b"));
    queue.end();
    expect(Buffer.from((await forPlugin)!).toString()).toBe("a");
    expect(await upstream).toBe("ab");
    expect(made.passage.waiting).toBe(0);
  });

  test("a plugin cannot read along once it goes upstream", async () => {
    const { body, passage } = carried(filled(["a", "b"]));
    const tap = body.tap();
    passage.departed = true;
    await body.read();
    expect(() => tap.read()).toThrow(SluiceError);
    expect(() => body.tap().read()).toThrow(SluiceError);
  });

  test.each([true, false])(
    "at the limit a plugin's read fails, and all is forwarded (as it is: %p)",
    async (asIs) => {
      const made = carried(filled(["abc", "def", "ghi"]), 4);
      const look = asIs ? made.body : made.body.tap();
      const tooLarge = { code: "payload_too_large", reason: "limits.buffered_body" };
      expect(await text(look).catch((error: unknown) => error)).toMatchObject(tooLarge);
      // It stays so, for every look, and nothing more is taken in.
      expect(await (async () => look.read())().catch((error: unknown) => error)).toMatchObject(tooLarge);
      expect(await text(made.body.tap()).catch((error: unknown) => error)).toMatchObject(tooLarge);
      expect(made.passage.record.bytesIn).toBe(6);
      expect(await sent(made)).toBe("abcdefghi");
    },
  );

  test("who puts another body in its place reads on for ever, and nothing is kept", async () => {
    const { body, passage } = carried(filled(["abc", "def", "ghi"]), 4);
    passage.request.body = null;
    expect(await text(body)).toBe("abcdefghi");
    expect(body.rewind()).toBe(false);
  });

  test("another body that is made of a look at it goes on beyond the limit once it departs", async () => {
    const { body, passage } = carried(filled(["abc", "def", "ghi"]), 4);
    const look = body.tap();
    passage.departed = true;
    expect(await text(look)).toBe("abcdefghi");
    expect(body.rewind()).toBe(false);
    // What is gone is not passed off as the whole.
    expect(() => body.read()).toThrow(SluiceError);
  });

  test("given up before it ended, it is gone; afterwards it can be had again", async () => {
    const unread = carried(filled(["a"]));
    unread.passage.departed = true;
    unread.body.cancel();
    expect(unread.body.rewind()).toBe(false);
    const kept = carried(filled(["a"]));
    await text(kept.body.tap());
    kept.passage.departed = true;
    kept.body.cancel();
    expect(kept.body.read()).toBeNull();
    expect(kept.body.rewind()).toBe(true);
    expect(await text(kept.body)).toBe("a");
  });

  test("one without a byte can be had again, however late its end came", async () => {
    const queue = new BodyQueue(PRODUCER);
    const made = carried(queue);
    const whole = sent(made);
    queue.end();
    expect(await whole).toBe("");
    expect(made.body.rewind()).toBe(true);
  });

  test("a plugin that loses interest takes nothing from the upstream", async () => {
    const made = carried(filled(["abc", "def"]));
    expect(await collect(made.body, 2)).toBeUndefined();
    expect(await sent(made)).toBe("abcdef");
  });

  test("one that breaks off fails for whoever reads", async () => {
    const queue = new BodyQueue(PRODUCER);
    const { body, passage } = carried(queue);
    const read = body.tap().read();
    queue.fail(new Error("broken off"));
    expect(await Promise.resolve(read).catch(String)).toBe("Error: broken off");
    passage.departed = true;
    expect(await Promise.resolve(body.read()).catch(String)).toBe("Error: broken off");
  });
});
