import { describe, expect, test } from "bun:test";
import {
  type Body,
  BodyQueue,
  BytesBody,
  type Exchange,
  exchangeOf,
  HeaderList,
  type Outcome,
  SluiceError,
} from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { rawUpstream } from "../forward/raw-upstream.ts";
import { type StepHandler, type TestStep, testGateway } from "./test-gateway.ts";

const OK = { kind: "respond", status: 200, headers: [], body: "ok" } as const;

/** A step that notes how requests ended. */
function watch(outcomes: Outcome[]): TestStep {
  return {
    name: "watch",
    handle: async (c, next) => {
      exchangeOf(c).onEnd((outcome) => void outcomes.push(outcome));
      await next();
    },
  };
}

describe("onEnd", () => {
  test("hears of a whole answer after its last byte, once", async () => {
    await using up = await fakeUpstream(async (request) => new Response(`got ${await request.text()}`));
    const outcomes: Outcome[] = [];
    using gate = testGateway([{ steps: [watch(outcomes)] }], { upstream: up.url });
    await (await gate.fetch("/", { method: "POST", body: "12345" })).text();
    await gate.ended(1);
    expect(outcomes).toEqual([
      { complete: true, status: 200, bytesIn: 5, bytesOut: 9, failure: undefined, durationMs: 0 },
    ]);
    expect(Object.isFrozen(outcomes[0])).toBe(true);
  });

  test("hears of a refusal below it", async () => {
    const outcomes: Outcome[] = [];
    const refuse: StepHandler = () => {
      throw new SluiceError("rate_limited", "Slow down.");
    };
    using gate = testGateway([{ steps: [watch(outcomes), refuse], action: OK }]);
    expect((await gate.fetch("/")).status).toBe(429);
    await gate.ended(1);
    expect(outcomes).toMatchObject([{ complete: true, status: 429, failure: { code: "rate_limited" } }]);
  });

  test("hears of an upstream that breaks off, and of a client that leaves", async () => {
    using up = rawUpstream([
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun",
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun",
    ]);
    const outcomes: Outcome[] = [];
    using gate = testGateway([{ steps: [watch(outcomes)] }], { upstream: up.url });
    const first = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await first.until("begun");
    up.cut();
    await gate.ended(1);
    const second = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await second.until("begun");
    second.reset();
    await gate.ended(2);
    expect(outcomes).toMatchObject([
      { complete: false, status: 200, failure: { owner: "upstream", reason: "reset" } },
      { complete: false, status: 200, failure: { code: "client_closed" } },
    ]);
  });

  test("hears of a request that is cut, and of one whose step was given up", async () => {
    const outcomes: Outcome[] = [];
    const hang: TestStep = { handle: () => new Promise(() => {}), timeout: 100 };
    using gate = testGateway([{ steps: [watch(outcomes), hang], action: OK }]);
    const active = async (count: number): Promise<void> => {
      while (gate.gateway.active !== count) await new Promise((resolve) => setImmediate(resolve));
    };
    const late = gate.fetch("/");
    await active(1);
    await gate.clock.advance(200);
    expect((await late).status).toBe(500);
    const cut = gate.fetch("/");
    await active(1);
    gate.gateway.cutAll(new SluiceError("draining", "Going.", { reason: "shutdown" }));
    expect((await cut).status).toBe(503);
    await gate.ended(2);
    expect(outcomes).toMatchObject([
      { status: 500, failure: { code: "plugin_timeout" } },
      { status: 503, failure: { code: "draining" } },
    ]);
  });

  test("that is asked for too late, or by a step that was given up, runs all the same", async () => {
    const outcomes: Outcome[] = [];
    const given = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    let seen: Exchange | undefined;
    using gate = testGateway([
      {
        steps: [
          {
            timeout: 100,
            handle: async (c) => {
              seen = exchangeOf(c);
              await given.promise;
              // By now it is a likeness of the request that the step has.
              exchangeOf(c).onEnd((outcome) => void outcomes.push(outcome));
              done.resolve();
            },
          },
        ],
        action: OK,
      },
    ]);
    const asked = gate.fetch("/");
    while (gate.gateway.active === 0) await new Promise((resolve) => setImmediate(resolve));
    await gate.clock.advance(200);
    expect((await asked).status).toBe(500);
    await gate.ended(1);
    given.resolve();
    await done.promise;
    seen!.onEnd((outcome) => void outcomes.push(outcome));
    expect(outcomes).toMatchObject([{ status: 500 }, { status: 500 }]);
  });

  test("may be taken back", async () => {
    const outcomes: Outcome[] = [];
    using gate = testGateway([
      {
        steps: [
          async (c, next) => {
            exchangeOf(c).onEnd((outcome) => void outcomes.push(outcome))();
            await next();
          },
        ],
        action: OK,
      },
    ]);
    await gate.fetch("/");
    await gate.ended(1);
    expect(outcomes).toEqual([]);
  });

  test("that throws or rejects is counted against its plugin and harms nobody", async () => {
    const outcomes: Outcome[] = [];
    const bad = (name: string, fails: () => void | Promise<void>): TestStep => ({
      name,
      handle: async (c, next) => {
        await Promise.resolve();
        exchangeOf(c).onEnd(fails);
        await next();
      },
    });
    using gate = testGateway([
      {
        steps: [
          bad("throws", () => {
            throw new Error("one");
          }),
          bad("rejects", () => Promise.reject(new Error("two"))),
          watch(outcomes),
        ],
        action: OK,
      },
    ]);
    expect(await (await gate.fetch("/")).text()).toBe("ok");
    await gate.ended(1);
    while (gate.strays.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(outcomes).toHaveLength(1);
    expect(gate.strays.map(({ plugin, error }) => [plugin, (error as Error).message])).toEqual([
      ["throws", "one"],
      ["rejects", "two"],
    ]);
  });

  test("holds the plugins of a generation until it has settled, and not for ever", async () => {
    const settled = Promise.withResolvers<void>();
    const pending = [settled.promise, new Promise<void>(() => {})];
    using gate = testGateway([
      {
        steps: [
          async (c, next) => {
            exchangeOf(c).onEnd(() => pending.shift()!);
            await next();
          },
        ],
        action: OK,
      },
    ]);
    const released = async (): Promise<void> => {
      while (gate.retained > 0) await new Promise((resolve) => setImmediate(resolve));
    };
    await gate.fetch("/");
    await gate.ended(1);
    expect([gate.gateway.active, gate.retained]).toEqual([0, 1]);
    settled.resolve();
    await released();
    await gate.fetch("/");
    await gate.ended(2);
    expect(gate.retained).toBe(1);
    await gate.clock.advance(10_000);
    await released();
  });
});

describe("what a step still does once the request was cut and answered", () => {
  const late: readonly [string, StepHandler][] = [
    [
      "another answer",
      (c) =>
        void (exchangeOf(c).response = {
          status: 418,
          headers: new HeaderList(),
          body: null,
          source: "gateway",
        }),
    ],
    ["a change of the answer", (c) => void (exchangeOf(c).response!.status = 418)],
    ["a change of its Fetch view", (c) => void (c.res = new Response("late", { status: 418 }))],
    [
      "an error",
      () => {
        throw new SluiceError("rate_limited", "Slow down.");
      },
    ],
  ];
  test.each(late)("has no part in how it ended: %s", async (_what, does) => {
    const outcomes: Outcome[] = [];
    const begun = Promise.withResolvers<void>();
    const waits: StepHandler = async (c) => {
      const x = exchangeOf(c);
      begun.resolve();
      await new Promise<void>((resolve) => void x.onCancel(() => resolve()));
      does(c, () => Promise.resolve());
    };
    const steps = [watch(outcomes), { name: "waits", handle: waits }];
    using gate = testGateway([{ steps, action: OK }]);
    const asked = gate.fetch("/");
    await begun.promise;
    const reason = new SluiceError("draining", "Going.", { reason: "shutdown" });
    gate.gateway.cutAll(reason);
    expect((await asked).status).toBe(503);
    await gate.ended(1);
    expect(outcomes).toMatchObject([{ status: 503, failure: { code: "draining" } }]);
    expect(gate.finished[0]).toMatchObject({ status: 503, failure: { code: "draining" } });
    expect(gate.finished[0]?.exchange.record.failedStep).toBeUndefined();
    // Whoever asks later is told the same.
    gate.finished[0]!.exchange.onEnd((outcome) => void outcomes.push(outcome));
    expect(outcomes[1]).toEqual(outcomes[0]);
  });

  test("is told the same though nobody asked before", async () => {
    const begun = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const left = Promise.withResolvers<Exchange>();
    const waits: StepHandler = async (c) => {
      const x = exchangeOf(c);
      begun.resolve();
      await goOn.promise;
      x.response = { status: 418, headers: new HeaderList(), body: null, source: "gateway" };
      left.resolve(x);
    };
    using gate = testGateway([{ steps: [waits], action: OK }]);
    const asked = gate.fetch("/");
    await begun.promise;
    gate.gateway.cutAll(new SluiceError("draining", "Going.", { reason: "shutdown" }));
    expect((await asked).status).toBe(503);
    await gate.ended(1);
    goOn.resolve();
    const outcomes: Outcome[] = [];
    (await left.promise).onEnd((outcome) => void outcomes.push(outcome));
    expect(outcomes).toMatchObject([{ status: 503, failure: { code: "draining" } }]);
  });

  const bodies: readonly [string, (x: Exchange, body: Body) => void][] = [
    ["with an answer", (x, body) => (x.response = { ...x.response!, body })],
    ["in the answer", (x, body) => (x.response!.body = body)],
  ];
  test.each(bodies)("is let go of: a body that comes too late %s is cancelled", async (_what, give) => {
    const begun = Promise.withResolvers<void>();
    const cancelled = Promise.withResolvers<void>();
    const waits: StepHandler = async (c) => {
      const x = exchangeOf(c);
      begun.resolve();
      await new Promise<void>((resolve) => void x.onCancel(() => resolve()));
      give(x, new BodyQueue({ pause() {}, resume() {}, cancelled: () => cancelled.resolve() }));
    };
    using gate = testGateway([{ steps: [waits], action: OK }]);
    const asked = gate.fetch("/");
    await begun.promise;
    gate.gateway.cutAll(new SluiceError("draining", "Going.", { reason: "shutdown" }));
    expect((await asked).status).toBe(503);
    await cancelled.promise;
  });
});

describe("fields of the access log line", () => {
  async function fieldsOf(handle: StepHandler): Promise<ReadonlyMap<string, unknown> | undefined> {
    using gate = testGateway([{ steps: [handle], action: OK }]);
    await gate.fetch("/");
    await gate.ended(1);
    expect(gate.finished[0]?.failure).toBeUndefined();
    return gate.finished[0]?.exchange.record.fields;
  }

  test("are those that steps gave, up to the end of the request", async () => {
    const fields = await fieldsOf(async (c, next) => {
      const x = exchangeOf(c);
      x.logField("model", "m-1");
      x.logField("tokens", 1);
      x.logField("dropped", true);
      await next();
      x.logField("tokens", 42);
      x.logField("dropped", undefined);
      x.onEnd(({ status }) => x.logField("cost_usd", status / 1000));
    });
    expect([...fields!]).toEqual([
      ["model", "m-1"],
      ["tokens", 42],
      ["cost_usd", 0.2],
    ]);
  });

  test("are bounded in number and length", async () => {
    const fields = await fieldsOf(async (c, next) => {
      for (let i = 0; i < 100; i++) exchangeOf(c).logField(`field_${i}`, "x".repeat(10_000));
      exchangeOf(c).logField("field_0", "known");
      await next();
    });
    expect(fields?.size).toBe(32);
    expect(fields?.get("field_0")).toBe("known");
    expect(String(fields?.get("field_1")).length).toBe(513);
  });

  test("are refused under another name, and with another value", async () => {
    await fieldsOf(async (c, next) => {
      const x = exchangeOf(c);
      for (const name of ["", "Upper", "a-b", "1a", "a".repeat(65), "a b"])
        expect(() => x.logField(name, 1)).toThrow(TypeError);
      expect(() => x.logField("object", {} as unknown as string)).toThrow(TypeError);
      await next();
    });
  });
});

describe("requests that are sent ahead", () => {
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

  test("are begun one after the other: each is over before the next one", async () => {
    await using up = await fakeUpstream(async () => new Response("ok"));
    let active = 0;
    const seen: number[] = [];
    const count: StepHandler = async (c, next) => {
      seen.push(++active);
      exchangeOf(c).onEnd(() => void active--);
      await next();
    };
    using gate = testGateway(
      [
        { path: "/up/*", steps: [count] },
        { path: "/here", steps: [count], action: OK },
      ],
      { upstream: up.url },
    );
    await gate.connect(["/up/1", "/here", "/up/2", "/up/3", "/here", "/here"].map(get).join(""));
    await gate.ended(6);
    expect(seen).toEqual([1, 1, 1, 1, 1, 1]);
    const ends = gate.finished.map(({ exchange }) => exchange.request.path);
    expect(ends).toEqual(["/up/1", "/here", "/up/2", "/up/3", "/here", "/here"]);
  });
});

describe("an answer that a step has frozen", () => {
  const answered = async (body: Body | null) => {
    const outcomes: Outcome[] = [];
    const frozen = Object.freeze({
      status: 200,
      headers: new HeaderList(),
      body,
      source: "gateway",
    } as const);
    const freeze: StepHandler = (c) => void (exchangeOf(c).response = frozen);
    using gate = testGateway([{ steps: [watch(outcomes), freeze], action: OK }]);
    const answer = await gate.fetch("/");
    const text = await answer.text();
    await gate.ended(1);
    expect(gate.strays).toEqual([]);
    return { status: answer.status, text, outcomes };
  };

  test.each([
    ["nothing", null, ""],
    ["bytes", new BytesBody(Buffer.from("ok")), "ok"],
  ])("leaves and is told of like any other where it holds %s", async (_what, body, text) => {
    const told = await answered(body);
    expect(told).toMatchObject({ status: 200, text, outcomes: [{ complete: true, status: 200 }] });
  });

  test("is the step's failure where its body is a stream, which must be wrapped", async () => {
    const queue = new BodyQueue({ pause() {}, resume() {}, cancelled() {} });
    queue.push(Buffer.from("part"));
    const told = await answered(queue);
    expect(told).toMatchObject({
      status: 500,
      outcomes: [{ status: 500, failure: { code: "plugin_failed" } }],
    });
  });
});
