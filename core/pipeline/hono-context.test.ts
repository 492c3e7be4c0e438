import { describe, expect, test } from "bun:test";
import { Context, Hono } from "hono";
import { HonoRequest } from "hono/request";
import { routePath } from "hono/route";
import { EXCHANGE, exchangeOf, HeaderList } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { type StepHandler as Handle, type TestStep, testGateway } from "./test-gateway.ts";

/** What a client gets through `steps` from an upstream that answers `upstream`. */
async function through(
  steps: Handle | readonly (Handle | TestStep)[],
  upstream: () => Response = () => new Response("from upstream", { headers: { "x-up": "1" } }),
  init: RequestInit = {},
): Promise<Response> {
  await using up = await fakeUpstream(upstream);
  using gate = testGateway([{ path: "/*", steps: typeof steps === "function" ? [steps] : steps }], {
    upstream: up.url,
  });
  const answer = await gate.fetch("/a/b?q=1", init);
  await answer.clone().arrayBuffer();
  return answer;
}

describe("the surface is Hono's", () => {
  test("every member of Context and HonoRequest is there", async () => {
    const missing: string[] = [];
    await through(async (c, next) => {
      expect(c).toBeInstanceOf(Context);
      expect(c.req).toBeInstanceOf(HonoRequest);
      const theirs = new Context(new Request("http://h/"));
      for (const name of [
        ...Object.getOwnPropertyNames(theirs),
        ...Object.getOwnPropertyNames(Context.prototype),
      ])
        if (name !== "constructor" && !Object.hasOwn(Object.getPrototypeOf(c), name)) missing.push(name);
      await next();
    });
    expect(missing).toEqual([]);
  });

  test("methods may be taken off the context, and replaced on it", async () => {
    const answer = await through(async (c) => {
      const { json, header } = c;
      header("x-taken", "1");
      c.text = (() => new Response("replaced")) as unknown as typeof c.text;
      return (await c.text("x").text()) === "replaced" ? json({ ok: true }) : json({ ok: false });
    });
    expect(await answer.json()).toEqual({ ok: true });
    expect(answer.headers.get("x-taken")).toBe("1");
  });

  test("variables, env, error and renderer are shared by the steps", async () => {
    const answer = await through([
      async (c, next) => {
        c.set("who", "a");
        (c.env as Record<string, string>)["k"] = "v";
        c.setRenderer(((text: string) => c.html(`<p>${text}</p>`)) as never);
        await next();
        expect(c.get("below")).toBe(true);
      },
      (c) => {
        c.set("below", true);
        expect({ ...c.var } as object).toEqual({ who: "a", below: true });
        expect(c.env).toEqual({ k: "v" });
        expect(c.error).toBeUndefined();
        return (c as unknown as { render(text: string): Response }).render("hi");
      },
    ]);
    expect(await answer.text()).toBe("<p>hi</p>");
    expect(answer.headers.get("content-type")).toBe("text/html; charset=UTF-8");
  });

  test("a failure of waitUntil is contained and reported", async () => {
    using gate = testGateway([
      {
        path: "/*",
        steps: [
          {
            name: "late",
            handle: (c) => {
              c.executionCtx.waitUntil(Promise.reject(new Error("later")));
              return c.text("ok");
            },
          },
        ],
      },
    ]);
    expect(await (await gate.fetch("/")).text()).toBe("ok");
    expect(gate.strays).toEqual([{ plugin: "late", error: new Error("later") }]);
  });

  test("the exchange is behind the context", async () => {
    await through(async (c, next) => {
      expect(exchangeOf(c)).toBe((c as unknown as { [EXCHANGE]: ReturnType<typeof exchangeOf> })[EXCHANGE]);
      expect(exchangeOf(c).clientAddress).toBe("203.0.113.7");
      await next();
    });
  });
});

describe("answers that a step makes", () => {
  const cases: readonly [string, Handle, number, string, Record<string, string | null>][] = [
    [
      "json",
      (c) => c.json({ a: 1 }, 201, { "x-a": "1" }),
      201,
      '{"a":1}',
      { "content-type": "application/json", "x-a": "1", "content-length": "7" },
    ],
    ["text", (c) => c.text("hé"), 200, "hé", { "content-length": "3" }],
    ["status before", (c) => (c.status(418), c.body("tea")), 418, "tea", {}],
    [
      "an init",
      (c) => c.newResponse("x", { status: 202, headers: { "x-i": "1" } }),
      202,
      "x",
      { "x-i": "1" },
    ],
    ["redirect", (c) => c.redirect("/ü", 307), 307, "", { location: "/ü", "content-length": "0" }],
    ["redirect beyond latin-1", (c) => c.redirect("/☃"), 302, "", { location: "/%E2%98%83" }],
    ["notFound", (c) => c.notFound(), 404, "404 Not Found", {}],
    [
      "a Response of text",
      () => new Response("raw", { status: 203 }),
      203,
      "raw",
      { "content-type": "text/plain;charset=UTF-8" },
    ],
    ["bytes", (c) => c.body(new Uint8Array([104, 105])), 200, "hi", { "content-type": null }],
    ["204", (c) => c.body(null, 204), 204, "", {}],
    ["c.res assigned", (c) => void (c.res = new Response("set", { status: 206 })), 206, "set", {}],
  ];
  test.each(cases)("%s", async (_name, handle, status, body, headers) => {
    const answer = await through(handle);
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe(body);
    for (const [name, value] of Object.entries(headers)) expect(answer.headers.get(name)).toBe(value);
  });

  test("headers that were set before are on them, whichever way it was answered", async () => {
    for (const handle of [(c) => c.text("x"), () => new Response("x")] satisfies Handle[]) {
      const answer = await through([
        async (c, next) => {
          c.header("x-set", "1");
          c.header("x-two", "a");
          c.header("x-two", "b", { append: true });
          c.res.headers.set("x-view", "2");
          c.header("x-gone", "1");
          c.header("x-gone");
          c.header("x-after", "3");
          await next();
        },
        handle,
      ]);
      expect(answer.headers.get("x-set")).toBe("1");
      expect(answer.headers.get("x-two")).toBe("a, b");
      expect(answer.headers.get("x-view")).toBe("2");
      expect(answer.headers.get("x-after")).toBe("3");
      expect(answer.headers.has("x-gone")).toBe(false);
    }
  });

  test("what c.json is told stands over what was prepared", async () => {
    const answer = await through((c) => {
      c.header("x-a", "prepared");
      return c.json({}, 200, { "x-a": "told" });
    });
    expect(answer.headers.get("x-a")).toBe("told");
  });

  test("what a step returns after next() is ignored", async () => {
    const answer = await through(async (c, next) => {
      await next();
      return c.text("too late");
    });
    expect(await answer.text()).toBe("from upstream");
  });
});

describe("an upstream's answer", () => {
  test("prepared headers replace its own; cookies, Vary and appended ones are added; its type stays", async () => {
    const answer = await through(
      async (c, next) => {
        c.header("x-up", "mine");
        c.header("content-type", "text/mine");
        c.header("set-cookie", "a=1");
        c.header("vary", "Origin");
        c.header("server-timing", "mine", { append: true });
        await next();
      },
      () =>
        new Response("x", {
          headers: [
            ["x-up", "1"],
            ["content-type", "text/theirs"],
            ["set-cookie", "b=2"],
            ["vary", "Accept"],
            ["server-timing", "theirs"],
          ],
        }),
    );
    expect(answer.headers.get("x-up")).toBe("mine");
    expect(answer.headers.get("content-type")).toBe("text/theirs");
    expect(answer.headers.getSetCookie()).toEqual(["b=2", "a=1"]);
    expect(answer.headers.get("vary")).toBe("Accept, Origin");
    expect(answer.headers.get("server-timing")).toBe("theirs, mine");
  });

  test("headers may be set after next(), through the context, the view and the exchange in turn", async () => {
    const answer = await through(async (c, next) => {
      await next();
      c.header("x-a", "1");
      expect(c.res.headers.get("x-a")).toBe("1");
      c.res.headers.set("x-b", "2");
      expect(exchangeOf(c).response?.headers.get("x-b")).toBe("2");
      exchangeOf(c).response?.headers.set("x-c", "3");
      expect(c.res.headers.get("x-c")).toBe("3");
      c.header("x-b", "4", { append: true });
      expect(c.res.headers.get("x-b")).toBe("2, 4");
      c.res.headers.delete("x-up");
      c.header("x-a", " 5\t");
    });
    expect(answer.headers.get("x-a")).toBe("5");
    expect(answer.headers.get("x-b")).toBe("2, 4");
    expect(answer.headers.get("x-c")).toBe("3");
    expect(answer.headers.has("x-up")).toBe(false);
    expect(await answer.text()).toBe("from upstream");
  });

  test("c.res reads it, and a replacement keeps its headers as Hono does", async () => {
    const answer = await through(async (c, next) => {
      await next();
      expect(c.finalized).toBe(true);
      expect(c.res.status).toBe(200);
      const text = await c.res.text();
      c.res = new Response(text.toUpperCase(), { status: 201, headers: { "x-up": "new", "x-new": "1" } });
    });
    expect(answer.status).toBe(201);
    expect(await answer.text()).toBe("FROM UPSTREAM");
    expect(answer.headers.get("x-up")).toBe("1");
    expect(answer.headers.get("x-new")).toBe("1");
  });

  test("c.res = undefined takes it away, headers included", async () => {
    const answer = await through(async (c, next) => {
      await next();
      c.res = undefined;
      c.res = new Response("fresh");
    });
    expect(await answer.text()).toBe("fresh");
    expect(answer.headers.has("x-up")).toBe(false);
  });

  test("a transformed body, a clone and a re-wrapped body all arrive", async () => {
    const upper = () =>
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, out) => out.enqueue(Buffer.from(Buffer.from(chunk).toString().toUpperCase())),
      });
    const piped = await through(async (c, next) => {
      await next();
      c.res = new Response(c.res.body!.pipeThrough(upper()), c.res);
    });
    expect(await piped.text()).toBe("FROM UPSTREAM");
    expect(piped.headers.get("x-up")).toBe("1");

    const read: string[] = [];
    const cloned = await through(async (c, next) => {
      await next();
      read.push(await c.res.clone().text());
    });
    expect(await cloned.text()).toBe("from upstream");
    expect(read).toEqual(["from upstream"]);

    const wrapped = await through(async (c, next) => {
      await next();
      c.res = new Response(c.res.body, { status: 202 });
    });
    expect(wrapped.status).toBe(202);
    expect(await wrapped.text()).toBe("from upstream");
    expect(wrapped.headers.get("content-length")).toBe("13");
  });

  test("a body that a step read and did not replace is the plugin's failure", async () => {
    const answer = await through(async (c, next) => {
      await next();
      await c.res.text();
    });
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ error: { code: "plugin_failed", reason: "response_body" } });
  });

  test("Set-Cookie lines stay apart, and a status that Fetch does not know stays what it is", async () => {
    let seen = 0;
    using gate = testGateway([
      {
        path: "/*",
        steps: [
          async (c, next) => {
            await next();
            seen = c.res.status;
            c.res.headers.append("set-cookie", "c=3");
          },
          async (c) => {
            const headers = new HeaderList([
              "set-cookie",
              "a=1",
              "x-z",
              "1",
              "set-cookie",
              "b=2",
              "x-a",
              "2",
            ]);
            exchangeOf(c).response = { status: 799, headers, body: null, source: "gateway" };
          },
        ],
      },
    ]);
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const text = await client.ended();
    expect(seen).toBe(799);
    expect(text).toStartWith("HTTP/1.1 799");
    expect(text.match(/^set-cookie: .*$/gim)).toEqual([
      "set-cookie: a=1",
      "set-cookie: b=2",
      "set-cookie: c=3",
    ]);
  });
});

describe("c.req", () => {
  test("answers from the exchange", async () => {
    const seen: unknown[] = [];
    await through(
      async (c, next) => {
        const { req } = c;
        seen.push(req.method, req.path, req.query("q"), req.queries("q"), req.header("X-Odd"));
        seen.push(req.header("host") === new URL(req.url).host, req.header()["x-odd"]);
        await next();
      },
      undefined,
      { headers: { "x-odd": "yes" } },
    );
    expect(seen).toEqual(["GET", "/a/b", "1", ["1"], "yes", true, "yes"]);
  });

  test("path is decoded as Hono does; params and the route's path are there", async () => {
    const seen: unknown[] = [];
    using gate = testGateway([
      {
        path: "/things/:id/*",
        steps: [(c) => (seen.push(c.req.path, c.req.param("id"), c.req.param(), routePath(c)), c.text(""))],
      },
    ]);
    const app = new Hono().get("/things/:id/*", (c) => c.json([c.req.path, c.req.param("id")]));
    const path = "/things/a%20%C3%BC/x%252F%2F";
    await gate.fetch(path);
    expect(seen.slice(0, 2)).toEqual((await (await app.request(path)).json()) as unknown[]);
    expect(seen.slice(2)).toEqual([{ id: "a ü" }, "/things/:id/*"]);
  });

  test("reading the body leaves it to the upstream; json, text and raw agree", async () => {
    await using up = await fakeUpstream(async (request) => new Response(await request.text()));
    using gate = testGateway(
      [
        {
          path: "/*",
          steps: [
            async (c, next) => {
              expect(await c.req.json()).toEqual({ a: "ü" });
              expect(await c.req.text()).toBe('{"a":"ü"}');
              await next();
            },
            async (c, next) => {
              expect(await c.req.json()).toEqual({ a: "ü" });
              await next();
            },
          ],
        },
      ],
      { upstream: up.url },
    );
    const answer = await gate.fetch("/", { method: "POST", body: '{"a":"ü"}' });
    expect(await answer.text()).toBe('{"a":"ü"}');
    expect(up.requests[0]!.headers.get("content-length")).toBe("10");
    expect(gate.finished[0]?.exchange.record.bytesIn).toBe(10);
  });

  test("changes to raw, and another request in its place, go upstream", async () => {
    await using up = await fakeUpstream(async (request) => new Response(await request.text()));
    using gate = testGateway(
      [
        {
          path: "/*",
          steps: [
            async (c, next) => {
              c.req.raw.headers.set("x-added", "1");
              c.req.raw.headers.delete("x-secret");
              expect(c.req.header("x-added")).toBe("1");
              await next();
            },
            async (c, next) => {
              const { raw } = c.req;
              c.req.raw = new Request("http://h/other?x=1", {
                method: "PUT",
                headers: raw.headers,
                body: `${await raw.text()}!`,
              });
              expect(c.req.method).toBe("PUT");
              expect(await c.req.text()).toBe("body!");
              await next();
            },
          ],
        },
      ],
      { upstream: up.url },
    );
    const answer = await gate.fetch("/", { method: "POST", body: "body", headers: { "x-secret": "1" } });
    expect(await answer.text()).toBe("body!");
    const [seen] = up.requests;
    expect(seen!.method).toBe("PUT");
    expect(seen!.target).toBe("/other?x=1");
    expect(seen!.headers.get("x-added")).toBe("1");
    expect(seen!.headers.has("x-secret")).toBe(false);
  });

  test("a method that Fetch does not know stays, in the view and for the steps below", async () => {
    const seen: string[] = [];
    using gate = testGateway([
      {
        path: "/*",
        steps: [
          async (c, next) => {
            seen.push(c.req.method, c.req.raw.method);
            c.req.raw = new Request(c.req.raw, { headers: { "x-a": "1" } });
            seen.push(c.req.raw.method);
            await next();
          },
          (c) => {
            const { method, headers } = exchangeOf(c).request;
            return c.text(`${method} ${headers.get("x-a") ?? ""}`);
          },
        ],
      },
    ]);
    const client = await gate.connect("BREW /pot HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect(await client.ended()).toEndWith("BREW 1");
    expect(seen).toEqual(["BREW", "BREW", "BREW"]);
  });
});
