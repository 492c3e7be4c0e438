import { describe, expect, test } from "bun:test";
import { HTTPException } from "hono/http-exception";
import { BytesBody, CONSUMER, collect, exchangeOf, HeaderList, SluiceError } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { type StepHandler, type TestStep, testGateway } from "./test-gateway.ts";

interface ErrorBody {
  readonly error: { readonly code: string; readonly reason: string; readonly message: string };
}

async function errorOf(answer: Response): Promise<ErrorBody["error"]> {
  return ((await answer.json()) as ErrorBody).error;
}

const hang: StepHandler = () => new Promise(() => {});
const fails: StepHandler = () => {
  throw new Error("secret detail");
};
const OK = { kind: "respond", status: 200, headers: [["x-own", "1"]], body: "ok" } as const;

describe("order", () => {
  test("steps run from top to bottom on the way in and back on the way out", async () => {
    const seen: string[] = [];
    const step =
      (name: string): StepHandler =>
      async (_c, next) => {
        seen.push(`${name} in`);
        await next();
        seen.push(`${name} out`);
      };
    using gate = testGateway([{ steps: [step("a"), step("b")], action: OK }]);
    expect(await (await gate.fetch("/")).text()).toBe("ok");
    expect(seen).toEqual(["a in", "b in", "b out", "a out"]);
  });

  test("a step whose when does not hold is not there; what steps above set counts", async () => {
    const mark =
      (name: string): StepHandler =>
      async (c, next) => {
        await next();
        c.header(`x-${name}`, "1");
      };
    using gate = testGateway([
      {
        action: OK,
        steps: [
          { handle: mark("a"), when: { methods: ["POST"] } },
          async (c, next) => {
            exchangeOf(c).set(CONSUMER, "team");
            await next();
          },
          { handle: mark("b"), when: { consumers: ["team"] } },
          { handle: mark("c"), when: { consumers: ["other"] } },
        ],
      },
    ]);
    const { headers } = await gate.fetch("/");
    expect([headers.has("x-a"), headers.has("x-b"), headers.has("x-c")]).toEqual([false, true, false]);
  });

  test("next() without await is waited for", async () => {
    await using up = await fakeUpstream(() => new Response("late"));
    using gate = testGateway([{ steps: [(_c, next) => void next()] }], { upstream: up.url });
    expect(await (await gate.fetch("/")).text()).toBe("late");
  });

  test("a step's own time is what next() did not take", async () => {
    using gate = testGateway([
      {
        action: OK,
        steps: [
          {
            name: "outer",
            handle: async (_c, next) => {
              await gate.clock.advance(10);
              await next();
              await gate.clock.advance(5);
            },
          },
          {
            name: "inner",
            handle: async (_c, next) => {
              await gate.clock.advance(100);
              await next();
            },
          },
        ],
      },
    ]);
    await gate.fetch("/");
    expect(gate.stepsFinished).toEqual([
      { step: "inner", ms: 100, outcome: "ok" },
      { step: "outer", ms: 15, outcome: "ok" },
    ]);
  });
});

describe("failures", () => {
  const broken: readonly [string, StepHandler, string, string][] = [
    ["throws", fails, "plugin_failed", "plugin_failed"],
    ["rejects", () => Promise.reject(new Error("secret detail")), "plugin_failed", "plugin_failed"],
    ["throws something odd", () => Promise.reject("secret detail"), "plugin_failed", "plugin_failed"],
    [
      "throws after next()",
      async (c, next) => {
        await next();
        return fails(c, next);
      },
      "plugin_failed",
      "plugin_failed",
    ],
    ["returns nothing", () => undefined, "plugin_failed", "no_response"],
    ["resolves with garbage", async () => ({ not: "a response" }), "plugin_failed", "no_response"],
    ["answers with Response.error()", () => Response.error(), "plugin_failed", "response_body"],
    [
      "answers with what was read",
      async () => {
        const response = new Response("x");
        await response.text();
        return response;
      },
      "plugin_failed",
      "response_body",
    ],
    [
      "sets an illegal header",
      (c) => (c.header("x-a", "a\nb"), c.text("x")),
      "plugin_failed",
      "plugin_failed",
    ],
    [
      "calls next() while it runs",
      async (_c, next) => {
        await Promise.all([next(), next()]);
      },
      "plugin_failed",
      "next",
    ],
  ];
  test.each(broken)("a step that %s fails closed and leaks nothing", async (_what, handle, code, reason) => {
    await using up = await fakeUpstream(() => new Response("upstream", { headers: { "x-up": "1" } }));
    using gate = testGateway([{ steps: [{ name: "bad", handle }] }], { upstream: up.url });
    const answer = await gate.fetch("/");
    expect(answer.status).toBe(500);
    expect(answer.headers.has("x-up")).toBe(false);
    const error = await errorOf(answer);
    expect([error.code, error.reason]).toEqual([code, reason]);
    expect(JSON.stringify(error)).not.toContain("secret");
    await gate.ended(1);
    expect(gate.finished[0]?.failure?.code).toBe("plugin_failed");
    expect(gate.finished[0]?.exchange.record.failedStep).toBe("test[0]");
    expect(gate.stepsFinished).toMatchObject([{ outcome: "error" }]);
  });

  test("a refusal keeps its code and its headers, and is no failure of the step", async () => {
    using gate = testGateway([
      {
        action: OK,
        steps: [
          {
            handle: () => {
              throw new SluiceError("rate_limited", "Slow down.", {
                reason: "limit",
                headers: [
                  ["retry-after", "7"],
                  ["x-illegal", "a\nb"],
                ],
              });
            },
            onError: "continue",
          },
        ],
      },
    ]);
    const answer = await gate.fetch("/");
    expect(answer.status).toBe(429);
    expect(answer.headers.get("retry-after")).toBe("7");
    expect(await errorOf(answer)).toMatchObject({
      code: "rate_limited",
      message: "Slow down.",
      reason: "limit",
    });
    await gate.ended(1);
    expect(gate.finished[0]?.failure?.code).toBe("rate_limited");
    expect(gate.finished[0]?.exchange.record.failedStep).toBeUndefined();
    expect(gate.stepsFinished).toMatchObject([{ outcome: "ok" }]);
  });

  test("the steps above see an error as an answer and c.error, and put their headers on it", async () => {
    using gate = testGateway([
      {
        action: OK,
        steps: [
          async (c, next) => {
            c.header("x-before", "1");
            await next();
            c.header("x-after", String(c.res.status));
            c.header("x-error", (c.error as SluiceError).code);
          },
          fails,
        ],
      },
    ]);
    const answer = await gate.fetch("/");
    expect(answer.status).toBe(500);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "x-before": "1",
      "x-after": "500",
      "x-error": "plugin_failed",
    });
  });

  test("an upstream's failure is an answer, too; a step may put a better one in its place", async () => {
    const steps: StepHandler[] = [
      async (c, next) => {
        await next();
        if (c.error !== undefined && c.req.path === "/stale") c.res = new Response("stale", { status: 200 });
      },
    ];
    using gate = testGateway([{ steps }], { upstream: "http://127.0.0.1:1" });
    const failed = await gate.fetch("/");
    expect(failed.status).toBe(502);
    expect((await errorOf(failed)).reason).toBe("connect");
    const stale = await gate.fetch("/stale");
    expect(await stale.text()).toBe("stale");
    await gate.ended(2);
    expect(gate.finished.map(({ failure }) => failure?.code)).toEqual(["upstream_failed", undefined]);
  });

  test("formatError speaks for the whole route; one that throws is passed over", async () => {
    const dialect: TestStep = {
      handle: (_c, next) => next(),
      formatError: (_exchange, error) => ({
        status: 599,
        headers: new HeaderList(["content-type", "text/dialect"]),
        body: new BytesBody(Buffer.from(`dialect: ${error.code}`)),
        source: "gateway",
      }),
    };
    const bad: TestStep = {
      handle: (_c, next) => next(),
      formatError: () => {
        throw new Error("no words");
      },
    };
    using gate = testGateway([{ action: OK, steps: [fails, bad, dialect] }]);
    const answer = await gate.fetch("/");
    expect(answer.status).toBe(599);
    expect(await answer.text()).toBe("dialect: plugin_failed");
    expect(gate.strays).toMatchObject([{ error: new Error("no words") }]);
  });
});

describe("deadlines", () => {
  test("a step that hangs is given up after its own timeout", async () => {
    using gate = testGateway([{ action: OK, steps: [{ name: "slow", handle: hang, timeout: 100 }] }]);
    const asked = gate.fetch("/");
    await gate.connect();
    while (gate.gateway.active === 0) await new Promise((resolve) => setImmediate(resolve));
    await gate.clock.advance(99);
    expect(gate.gateway.active).toBe(1);
    await gate.clock.advance(60);
    const answer = await asked;
    expect(answer.status).toBe(500);
    expect((await errorOf(answer)).code).toBe("plugin_timeout");
    expect(gate.stepsFinished).toMatchObject([{ step: "slow", outcome: "timeout" }]);
    expect(gate.finished[0]?.exchange.record.failedStep).toBe("test[0]");
  });

  test("time below next() does not count, time after it does", async () => {
    const reached = Promise.withResolvers<void>();
    using gate = testGateway([
      {
        steps: [
          {
            name: "outer",
            timeout: 100,
            handle: async (_c, next) => {
              await next();
              reached.resolve();
              await new Promise(() => {});
            },
          },
          {
            name: "inner",
            timeout: 1_000,
            handle: async (_c, next) => {
              await new Promise<void>((resolve) => void gate.clock.setTimeout(resolve, 500));
              await next();
            },
          },
        ],
        action: OK,
      },
    ]);
    const asked = gate.fetch("/");
    while (gate.gateway.active === 0) await new Promise((resolve) => setImmediate(resolve));
    await gate.clock.advance(500);
    await reached.promise;
    expect(gate.gateway.active).toBe(1);
    await gate.clock.advance(200);
    expect((await errorOf(await asked)).code).toBe("plugin_timeout");
    expect(gate.stepsFinished).toMatchObject([
      { step: "inner", outcome: "ok" },
      { step: "outer", outcome: "timeout" },
    ]);
  });

  test("what a step does after it was given up has no effect", async () => {
    const released = Promise.withResolvers<void>();
    const done = Promise.withResolvers<unknown>();
    using gate = testGateway([
      {
        action: OK,
        steps: [
          async (c, next) => {
            await next();
            released.resolve();
            await done.promise;
            c.header("x-outer", "1");
          },
          {
            timeout: 100,
            onError: "continue",
            handle: async (c, next) => {
              await released.promise;
              c.header("x-zombie", "1");
              c.res = new Response("zombie");
              c.set("zombie", true);
              exchangeOf(c).response = undefined;
              done.resolve(await next().catch((error: unknown) => error));
            },
          },
        ],
      },
    ]);
    const asked = gate.fetch("/");
    while (gate.gateway.active === 0) await new Promise((resolve) => setImmediate(resolve));
    await gate.clock.advance(200);
    const answer = await asked;
    expect(await answer.text()).toBe("ok");
    expect(answer.headers.get("x-outer")).toBe("1");
    expect(answer.headers.has("x-zombie")).toBe(false);
    expect(await done.promise).toBeInstanceOf(SluiceError);
  });

  test("the sweep runs only while requests are inside steps", async () => {
    using gate = testGateway([{ action: OK, steps: [(_c, next) => next()] }]);
    const before = gate.clock.pending;
    await gate.fetch("/");
    await gate.clock.advance(200);
    expect(gate.clock.pending).toBeLessThanOrEqual(before + 1);
  });
});

describe("on_error: continue", () => {
  const tolerated = (handle: StepHandler): TestStep => ({ handle, onError: "continue" });

  test("before next(), the rest runs as if the step were not there", async () => {
    using gate = testGateway([
      {
        action: OK,
        steps: [
          async (c, next) => {
            c.header("x-kept", "1");
            await next();
          },
          tolerated((c) => {
            c.header("x-lost", "1");
            c.res.headers.set("x-lost-too", "1");
            throw new Error("broken");
          }),
          async (c, next) => {
            await next();
            c.header("x-below", "1");
          },
        ],
      },
    ]);
    const answer = await gate.fetch("/");
    expect(await answer.text()).toBe("ok");
    const { headers } = answer;
    expect([headers.has("x-kept"), headers.has("x-below")]).toEqual([true, true]);
    expect([headers.has("x-lost"), headers.has("x-lost-too")]).toEqual([false, false]);
    expect(gate.stepsFinished.map(({ outcome }) => outcome)).toEqual(["error", "ok", "ok"]);
    expect(gate.finished[0]?.failure).toBeUndefined();
  });

  test("after next(), the answer stays as next() left it", async () => {
    await using up = await fakeUpstream(() => new Response("upstream"));
    using gate = testGateway(
      [
        {
          steps: [
            tolerated(async (c, next) => {
              await next();
              c.header("x-lost", "1");
              c.res = new Response("lost", { status: 201 });
              throw new Error("broken");
            }),
          ],
        },
      ],
      { upstream: up.url },
    );
    const answer = await gate.fetch("/");
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe("upstream");
    expect(answer.headers.has("x-lost")).toBe(false);
  });

  test("an answer that the step has used up cannot be kept", async () => {
    await using up = await fakeUpstream(() => new Response("upstream"));
    using gate = testGateway(
      [
        {
          steps: [
            tolerated(async (c, next) => {
              await next();
              await c.res.text();
              throw new Error("broken");
            }),
          ],
        },
      ],
      { upstream: up.url },
    );
    expect((await gate.fetch("/")).status).toBe(500);
  });

  test("while next() runs, what is below goes on", async () => {
    await using up = await fakeUpstream(() => new Response("upstream"));
    using gate = testGateway(
      [
        {
          steps: [
            tolerated((_c, next) => {
              void next();
              throw new Error("broken");
            }),
          ],
        },
      ],
      { upstream: up.url },
    );
    expect(await (await gate.fetch("/")).text()).toBe("upstream");
  });

  test("hanging and saying nothing count as failing; a server error that is thrown, too", async () => {
    using gate = testGateway([
      {
        action: OK,
        steps: [
          { ...tolerated(hang), timeout: 50 },
          tolerated(() => undefined),
          tolerated(() => {
            throw new SluiceError("upstream_failed", "The service that was asked is gone.");
          }),
          tolerated(() => {
            throw new HTTPException(503);
          }),
        ],
      },
    ]);
    const asked = gate.fetch("/");
    while (gate.gateway.active === 0) await new Promise((resolve) => setImmediate(resolve));
    await gate.clock.advance(150);
    expect(await (await asked).text()).toBe("ok");
    expect(gate.stepsFinished.map(({ outcome }) => outcome)).toEqual(["timeout", "error", "error", "error"]);
  });

  test("an HTTPException of the client's is an answer", async () => {
    using gate = testGateway([
      {
        action: OK,
        steps: [
          tolerated(() => {
            throw new HTTPException(403, { message: "no" });
          }),
        ],
      },
    ]);
    expect((await gate.fetch("/")).status).toBe(403);
  });
});

describe("next() more than once", () => {
  const retry: StepHandler = async (c, next) => {
    c.header("x-retry", "1");
    await next();
    if (c.res.status >= 500) await next();
  };

  test("each run starts clean", async () => {
    let tries = 0;
    await using up = await fakeUpstream(() =>
      ++tries === 1
        ? new Response("bad", { status: 503, headers: { "x-first": "1" } })
        : new Response("good", { headers: { "x-second": "1" } }),
    );
    const counted: StepHandler = async (c, next) => {
      c.header("x-try", String(tries), { append: true });
      await next();
    };
    using gate = testGateway([{ steps: [retry, counted] }], { upstream: up.url });
    const answer = await gate.fetch("/");
    expect(await answer.text()).toBe("good");
    const { headers } = answer;
    expect([headers.get("x-retry"), headers.get("x-try"), headers.get("x-second")]).toEqual(["1", "1", "1"]);
    expect(headers.has("x-first")).toBe(false);
    await gate.ended(1);
    expect(gate.finished[0]?.failure).toBeUndefined();
  });

  test("an error of the first run is forgotten", async () => {
    let runs = 0;
    const flaky: StepHandler = (c) => {
      if (++runs === 1) throw new Error("first");
      return c.text("second");
    };
    using gate = testGateway([{ action: OK, steps: [retry, flaky] }]);
    expect(await (await gate.fetch("/")).text()).toBe("second");
    await gate.ended(1);
    expect(gate.finished[0]?.exchange.record).toMatchObject({ failure: undefined, failedStep: undefined });
  });

  test("a body that somebody has kept goes upstream again", async () => {
    const bodies: string[] = [];
    await using up = await fakeUpstream(async (request) => {
      bodies.push(await request.text());
      return new Response("", { status: bodies.length === 1 ? 500 : 200 });
    });
    const keepers: StepHandler[] = [
      async (c, next) => {
        await c.req.arrayBuffer();
        await next();
      },
      async (c, next) => {
        const { request } = exchangeOf(c);
        request.body = new BytesBody((await collect(request.body, 1_000))!);
        await next();
      },
    ];
    for (const keeper of keepers) {
      bodies.length = 0;
      using gate = testGateway([{ steps: [keeper, retry] }], { upstream: up.url });
      expect((await gate.fetch("/", { method: "POST", body: "again" })).status).toBe(200);
      expect(bodies).toEqual(["again", "again"]);
    }
  });

  test("a body that went upstream for good is an error that says so", async () => {
    await using up = await fakeUpstream(() => new Response("", { status: 500 }));
    const seen: unknown[] = [];
    const stubborn: StepHandler = async (_c, next) => {
      await next();
      seen.push(await next().catch((error: unknown) => error));
    };
    using gate = testGateway([{ steps: [stubborn] }], { upstream: up.url });
    expect((await gate.fetch("/", { method: "POST", body: "once" })).status).toBe(500);
    expect(seen[0]).toBeInstanceOf(SluiceError);
    expect(String((seen[0] as SluiceError).cause)).toContain("request body");
  });

  test("a rewritten path is the first one again", async () => {
    const rewrite: StepHandler = async (c, next) => {
      exchangeOf(c).request.path += "/down";
      await next();
    };
    let runs = 0;
    const last: StepHandler = (c) => c.text(c.req.path, ++runs === 1 ? 500 : 200);
    using gate = testGateway([{ action: OK, steps: [retry, rewrite, last] }]);
    expect(await (await gate.fetch("/a")).text()).toBe("/a/down");
  });
});

describe("a step that does not wait for next()", () => {
  test("answers alone: what is below is given up and changes nothing", async () => {
    const arrived = Promise.withResolvers<void>();
    await using up = await fakeUpstream(() => {
      arrived.resolve();
      return new Promise(() => {});
    });
    using gate = testGateway(
      [
        {
          steps: [
            async (c, next) => {
              void next();
              await arrived.promise;
              return c.text("impatient");
            },
            async (c, next) => {
              await next();
              c.header("x-below", "1");
            },
          ],
        },
      ],
      { upstream: up.url },
    );
    const answer = await gate.fetch("/");
    expect(await answer.text()).toBe("impatient");
    expect(answer.headers.has("x-below")).toBe(false);
    await gate.ended(1);
    expect(gate.finished[0]?.exchange.cancelled).toBe(false);
  });

  test("a fallback may follow: only that try was given up", async () => {
    await using up = await fakeUpstream((request) =>
      request.url.endsWith("?1") ? new Response("second") : new Promise(() => {}),
    );
    using gate = testGateway(
      [
        {
          steps: [
            async (c, next) => {
              await next();
              if (c.error === undefined) return;
              exchangeOf(c).request.search = "?1";
              await next();
            },
            async (c, next) => {
              const isFirst = exchangeOf(c).request.search === "";
              const patience = isFirst ? up.received(1) : new Promise(() => {});
              const timeout = patience.then(() => Promise.reject(new HTTPException(504)));
              await Promise.race([next(), timeout]);
            },
          ],
        },
      ],
      { upstream: up.url },
    );
    expect(await (await gate.fetch("/")).text()).toBe("second");
    await gate.ended(1);
    expect(up.requests).toHaveLength(2);
  });
});
