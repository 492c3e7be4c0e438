import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import { etag } from "hono/etag";
import {
  type AnyPlugin,
  ConfigError,
  definePlugin,
  exchangeOf,
  type PluginInstance,
  type Services,
  SluiceError,
} from "sluice/plugin";
import { createFakeClock, createTestServices, fakeUpstream, runPlugin, startPlugin } from "sluice/testing";
import { z } from "zod";

function plugin(setup: (options: { word: string }, services: Services) => PluginInstance): AnyPlugin {
  return definePlugin({
    apiVersion: 1,
    name: "probe",
    description: "For a test.",
    schema: z.strictObject({ word: z.string().default("hello") }),
    setup,
  });
}

const passing = plugin(({ word }) => ({
  async handle(c, next) {
    exchangeOf(c).request.headers.set("x-in", word);
    await next();
    c.header("x-out", word);
  },
}));

describe("a plugin at work", () => {
  test("changes the request that the upstream gets and the answer that the client gets", async () => {
    const app = new Hono();
    app.post("/things/:id", async (c) => c.text(`${c.req.param("id")} ${await c.req.text()}`, 201));
    await using upstream = await fakeUpstream(app);
    const answer = await runPlugin(
      passing,
      { word: "hi" },
      { method: "POST", path: "/things/7?a=1", headers: { "x-own": "kept" }, body: "sent" },
      { upstream },
    );
    expect(answer.status).toBe(201);
    expect(answer.headers.get("x-out")).toBe("hi");
    expect(await answer.text()).toBe("7 sent");
    const [seen] = upstream.requests;
    expect(seen?.target).toBe("/things/7?a=1");
    expect(seen?.headers.get("x-in")).toBe("hi");
    expect(seen?.headers.get("x-own")).toBe("kept");
  });

  test("has its defaults filled in, and an upstream that says ok", async () => {
    const answer = await runPlugin(passing, {});
    expect(answer.headers.get("x-out")).toBe("hello");
    expect(await answer.text()).toBe("ok");
  });

  test("may stand before an upstream that speaks HTTP/2", async () => {
    await using upstream = await fakeUpstream(() => new Response("two"), { protocol: "http2" });
    const answer = await runPlugin(passing, {}, {}, { upstream });
    expect(await answer.text()).toBe("two");
    expect(upstream.requests[0]?.httpVersion).toBe("2");
  });

  test("may be a middleware of Hono's own", async () => {
    await using running = await startPlugin(
      plugin(() => ({ handle: etag() })),
      {},
    );
    const first = await running.request();
    const tag = first.headers.get("etag")!;
    expect(await first.text()).toBe("ok");
    const second = await running.request({ headers: { "if-none-match": tag } });
    expect(second.status).toBe(304);
  });

  test("keeps its state from one request to the next, and is closed in the end", async () => {
    const seen: string[] = [];
    const counting = plugin(() => {
      let count = 0;
      return {
        handle: (c) => Promise.resolve(c.text(String(++count))),
        close: () => void seen.push("closed"),
      };
    });
    const running = await startPlugin(counting, {});
    expect(await (await running.request()).text()).toBe("1");
    expect(await (await running.request()).text()).toBe("2");
    expect(running.upstream.requests).toHaveLength(0);
    await running.close();
    expect(seen).toEqual(["closed"]);
    expect(await running.request().catch(() => "gone")).toBe("gone");
  });

  test("is skipped where its step's `when` does not hold", async () => {
    await using running = await startPlugin(passing, {}, { step: { when: { path: "/in/*" } } });
    expect((await running.request({ path: "/in/side" })).headers.get("x-out")).toBe("hello");
    expect((await running.request({ path: "/outside" })).headers.get("x-out")).toBeNull();
  });
});

describe("time", () => {
  test("stands still until the test moves it", async () => {
    const clock = createFakeClock();
    const asleep = Promise.withResolvers<void>();
    const stamped = plugin((_, services) => ({
      async handle(c) {
        await new Promise<void>((resolve) => {
          services.clock.setTimeout(resolve, 5_000);
          asleep.resolve();
        });
        return c.text(String(services.clock.now()));
      },
    }));
    await using running = await startPlugin(stamped, {}, { services: createTestServices({ clock }) });
    const answer = running.request();
    await asleep.promise;
    await clock.advance(5_000);
    expect(await (await answer).text()).toBe("1700000005000");
  });
});

describe("what goes wrong", () => {
  test("in the options is said as validate says it", async () => {
    const failure = await startPlugin(passing, { wrod: 1 }).catch((error: unknown) => error);
    expect(failure).toEqual(
      new Error('routes[0].pipeline[0].probe.wrod: unknown key "wrod" (did you mean "word"?)'),
    );
  });

  test("in setup is said", async () => {
    const refusing = plugin(() => {
      throw new ConfigError("no such file", ["word"]);
    });
    const failure = await startPlugin(refusing, {}).catch((error: unknown) => error);
    expect(String(failure)).toContain("no such file");
  });

  test("in a request is its 500, and the test can look at the error", async () => {
    const cause = new Error("on purpose");
    const throwing = plugin(() => ({
      handle() {
        throw cause;
      },
    }));
    await using running = await startPlugin(throwing, {});
    const answer = await running.request();
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ error: { code: "plugin_failed" } });
    expect(running.failures).toEqual([cause]);
  });

  test("a refusal is no failure", async () => {
    const refusing = plugin(() => ({
      handle() {
        throw new SluiceError("forbidden", "Not you.");
      },
    }));
    await using running = await startPlugin(refusing, {});
    expect((await running.request()).status).toBe(403);
    expect(running.failures).toEqual([]);
  });
});
