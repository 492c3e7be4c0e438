import { describe, expect, test } from "bun:test";
import { BodyQueue, exchangeOf, HeaderList, SluiceError } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { type StepHandler, testGateway } from "./test-gateway.ts";

const OK = { kind: "respond", status: 200, headers: [], body: "ok" } as const;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

describe("what the gateway answers itself", () => {
  test("probes, on their paths and in any spelling of them; they are not counted", async () => {
    let ready = true;
    using gate = testGateway([{ path: "/*", action: OK }], {
      probes: { live: "/health", ready: "/ready" },
      ready: () => ready,
    });
    const live = await gate.fetch("/health");
    expect([live.status, await live.text()]).toEqual([200, "ok\n"]);
    expect((await gate.fetch("/x/../%72eady?a=1")).status).toBe(200);
    ready = false;
    expect((await gate.fetch("/ready")).status).toBe(503);
    expect((await gate.fetch("/health", { method: "HEAD" })).status).toBe(200);
    expect(gate.finished).toHaveLength(0);
    expect(await (await gate.fetch("/ready", { method: "POST" })).text()).toBe("ok");
  });

  test("no route: 404 with the reason", async () => {
    using gate = testGateway([{ path: "/known", action: OK }]);
    const answer = await gate.fetch("/unknown");
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: { code: "not_found", reason: "no_route" } });
    await gate.ended(1);
    expect(gate.finished[0]?.exchange.route).toBe("");
  });

  test.each([
    ["GET /a/%zz HTTP/1.1", "400", "target"],
    ["GET /a\\b HTTP/1.1", "400", "target"],
  ])("%s is %s", async (line, status, reason) => {
    using gate = testGateway([{ path: "/*", action: OK }]);
    const client = await gate.connect(`${line}\r\nHost: h\r\nConnection: close\r\n\r\n`);
    const text = await client.ended();
    expect(text).toStartWith(`HTTP/1.1 ${status}`);
    expect(text).toContain(`"reason":"${reason}"`);
  });

  test("OPTIONS * is answered for the server as a whole", async () => {
    using gate = testGateway([{ path: "/*", action: OK }]);
    const client = await gate.connect("OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const text = await client.ended();
    expect(text).toStartWith("HTTP/1.1 200");
    expect(text).toContain("content-length: 0");
  });

  test("a Connection header that names a field for everybody is refused before a route is chosen", async () => {
    using gate = testGateway([{ path: "/*", action: OK }]);
    const client = await gate.connect(
      "GET / HTTP/1.1\r\nHost: h\r\nConnection: authorization, close\r\n\r\n",
    );
    expect(await client.ended()).toContain('"reason":"connection_header"');
  });

  test("respond and redirect routes", async () => {
    using gate = testGateway([
      {
        path: "/r",
        action: { kind: "respond", status: 503, headers: [["retry-after", "9"]], body: "wartung ü" },
      },
      {
        path: "/typed",
        action: { kind: "respond", status: 200, headers: [["content-type", "a/b"]], body: "x" },
      },
      { path: "/empty", action: { kind: "respond", status: 204, headers: [], body: "ignored" } },
      { path: "/go", action: { kind: "redirect", status: 308, location: "https://x.example/ü?a=%20" } },
    ]);
    const respond = await gate.fetch("/r");
    expect([respond.status, await respond.text(), respond.headers.get("retry-after")]).toEqual([
      503,
      "wartung ü",
      "9",
    ]);
    expect(respond.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect((await gate.fetch("/typed")).headers.get("content-type")).toBe("a/b");
    expect((await gate.fetch("/empty")).status).toBe(204);
    const head = await gate.fetch("/r", { method: "HEAD" });
    expect([head.headers.get("content-length"), await head.text()]).toEqual(["10", ""]);
    const redirect = await gate.fetch("/go");
    expect([redirect.status, redirect.headers.get("location")]).toEqual([
      308,
      "https://x.example/%C3%BC?a=%20",
    ]);
  });
});

describe("a malformed request that the codec let through", () => {
  test.each([
    ["an escape in the path", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a Connection option for everybody", "GET / HTTP/1.1\r\nHost: a\r\nConnection: authorization\r\n\r\n"],
  ])("%s: 400, and the connection is closed", async (_, text) => {
    using gate = testGateway([{ path: "/*", action: OK }]);
    const client = await gate.connect(text);
    const received = await client.ended();
    expect(received).toStartWith("HTTP/1.1 400 ");
    expect(received).toContain("connection: close\r\n");
  });

  test("a step's own 400 closes nothing", async () => {
    const refuse: StepHandler = () => {
      throw new SluiceError("bad_request", "no");
    };
    using gate = testGateway([{ path: "/*", steps: [refuse], action: OK }]);
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until('"bad_request"');
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until('"bad_request"', 2);
    expect(client.received).not.toContain("connection: close");
  });
});

describe("a status that cannot be sent", () => {
  test.each([0, 100, 101, 199, 1000, 9999, 200.5, Number.NaN])("%p is the step's failure", async (status) => {
    const odd: StepHandler = async (c, next) => {
      await next();
      exchangeOf(c).response!.status = status;
    };
    using gate = testGateway([{ path: "/*", steps: [odd], action: OK }]);
    const answer = await gate.fetch("/");
    expect([answer.status, await answer.json()]).toMatchObject([
      500,
      { error: { code: "plugin_failed", reason: "status" } },
    ]);
    await gate.ended(1);
    expect(gate.finished[0]?.failure?.owner).toBe("plugin");
  });

  test("one that nobody registered can", async () => {
    using upstream = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.write("HTTP/1.1 799 Odd\r\ncontent-length: 0\r\n\r\n") },
    });
    using gate = testGateway([{ path: "/*" }], { upstream: `http://127.0.0.1:${upstream.port}` });
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until("HTTP/1.1 799 ");
  });
});

describe("facts of a request", () => {
  test("the client's address, believed headers and the request id", async () => {
    const seen: unknown[] = [];
    const look = testGateway(
      [
        {
          path: "/*",
          steps: [
            (c) => {
              const x = exchangeOf(c);
              seen.push(x.clientAddress, x.fromTrustedProxy, x.request.headers.has("x-forwarded-for"));
              seen.push(x.requestId === x.requestId, x.route, x.request.path, x.request.search);
              return c.text("");
            },
          ],
        },
      ],
      { trustedProxies: ["203.0.113.0/24"] },
    );
    using gate = look;
    await gate.fetch("/a/./b?x=%41", { headers: { "x-forwarded-for": "198.51.100.9" } });
    expect(seen).toEqual(["198.51.100.9", true, true, true, "routes[0]", "/a/b", "?x=%41"]);
  });

  test("body bytes are counted, read through or not", async () => {
    await using up = await fakeUpstream(async (request) => new Response(await request.text()));
    using gate = testGateway([{ path: "/*" }], { upstream: up.url });
    expect(await (await gate.fetch("/", { method: "POST", body: "x".repeat(100_000) })).text()).toHaveLength(
      100_000,
    );
    await gate.ended(1);
    expect(gate.finished[0]?.exchange.record.bytesIn).toBe(100_000);
    expect(gate.finished[0]?.sent).toMatchObject({ bytes: 100_000, complete: true });
    expect(gate.retained).toBe(0);
    expect(gate.gateway.active).toBe(0);
  });
});

test("trailers leave behind an answer whose headers a step changed", async () => {
  using gate = testGateway([
    {
      path: "/*",
      steps: [
        async (c, next) => {
          await next();
          c.res.headers.set("x-a", "1");
          c.res = new Response(c.res.body, c.res);
        },
        (c) => {
          const body = new BodyQueue({ pause() {}, resume() {}, cancelled() {} });
          body.push(Buffer.from("message"));
          body.end(new HeaderList(["x-checksum", "7"]));
          exchangeOf(c).response = { status: 200, headers: new HeaderList(), body, source: "upstream" };
        },
      ],
    },
  ]);
  const client = await gate.connect(
    "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n",
  );
  const text = await client.ended();
  expect(text).toContain("x-a: 1");
  expect(text).toEndWith("7\r\nmessage\r\n0\r\nx-checksum: 7\r\n\r\n");
});

describe("endings", () => {
  test("a client that leaves cancels the exchange and the upstream's work", async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    await using up = await fakeUpstream((request) => {
      asked.resolve(request.signal);
      return new Promise(() => {});
    });
    const cancelled = Promise.withResolvers<unknown>();
    using gate = testGateway(
      [
        {
          path: "/*",
          steps: [
            async (c, next) => {
              const x = exchangeOf(c);
              x.onCancel(cancelled.resolve);
              await next();
              expect(x.cancelled).toBe(true);
              expect(x.signal.aborted).toBe(true);
            },
          ],
        },
      ],
      { upstream: up.url },
    );
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    const signal = await asked.promise;
    client.reset();
    expect(await cancelled.promise).toMatchObject({ code: "client_closed" });
    await gate.ended(1);
    expect(gate.finished[0]?.failure?.code).toBe("client_closed");
    expect(gate.stepsFinished).toMatchObject([{ outcome: "ok" }]);
    await until(() => signal.aborted);
  });

  test("what a step throws because the client left is not held against it", async () => {
    using gate = testGateway([
      {
        path: "/*",
        steps: [
          async (c) => {
            const { signal } = exchangeOf(c);
            await new Promise((_, reject) =>
              signal.addEventListener("abort", () => reject(new Error("aborted"))),
            );
          },
        ],
      },
    ]);
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await until(() => gate.gateway.active === 1);
    client.reset();
    await gate.ended(1);
    expect(gate.finished[0]?.failure?.code).toBe("client_closed");
    expect(gate.finished[0]?.exchange.record.failedStep).toBeUndefined();
  });

  test("cutAll answers what waits, breaks what streams, and idle() resolves", async () => {
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from("begun")),
    });
    using gate = testGateway([
      { path: "/hang", steps: [() => new Promise(() => {})] },
      { path: "/stream", steps: [() => new Response(stream)] },
    ]);
    const hanging = gate.fetch("/hang");
    const streaming = await gate.connect("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    await streaming.until("begun");
    await until(() => gate.gateway.active === 2);
    const idle = gate.gateway.idle();
    expect(gate.gateway.cutAll(new SluiceError("draining", "Shutting down.", { reason: "shutdown" }))).toBe(
      2,
    );
    const answer = await hanging;
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ error: { code: "draining" } });
    expect(await streaming.ended()).not.toContain("\r\n0\r\n\r\n");
    await idle;
    expect(gate.gateway.active).toBe(0);
    expect(gate.retained).toBe(0);
    await gate.gateway.idle();
  });

  test("cutAll ends a request whose client has left and whose step is still at work", async () => {
    let cancelled = (): boolean => false;
    const hang: StepHandler = (c) => {
      const x = exchangeOf(c);
      cancelled = () => x.cancelled;
      return new Promise(() => {});
    };
    using gate = testGateway([{ path: "/*", steps: [hang] }]);
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await until(() => gate.gateway.active === 1);
    const idle = gate.gateway.idle();
    client.reset();
    await until(() => cancelled());
    expect(gate.gateway.cutAll(new SluiceError("draining", "Going.", { reason: "shutdown" }))).toBe(1);
    await idle;
    expect(gate.retained).toBe(0);
    expect(gate.finished).toHaveLength(1);
    expect(gate.finished[0]?.failure?.code).toBe("client_closed");
  });

  test("a request is over even where its answer cannot be sent", async () => {
    using gate = testGateway([
      {
        path: "/*",
        steps: [
          (c) => {
            const x = exchangeOf(c) as unknown as { inbound: { respond: unknown } };
            x.inbound.respond = () => Promise.reject(new Error("a codec's defect"));
            return c.text("ok");
          },
        ],
      },
    ]);
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await gate.ended(1);
    expect(gate.finished[0]).toMatchObject({ sent: { complete: false }, failure: { code: "internal" } });
    expect([gate.gateway.active, gate.retained]).toEqual([0, 0]);
    client.reset();
  });

  test("a request that was cancelled for a plugin's stray failure fails although the step answered", async () => {
    using gate = testGateway([
      {
        path: "/*",
        action: OK,
        steps: [
          async (c, next) => {
            (exchangeOf(c) as unknown as { cancel(reason: SluiceError): void }).cancel(
              new SluiceError("plugin_failed", "A plugin failed.", { reason: "stray_rejection" }),
            );
            await next();
          },
        ],
      },
    ]);
    const answer = await gate.fetch("/");
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ error: { reason: "stray_rejection" } });
  });

  test("an upstream's answer that a step replaced is let go", async () => {
    const cancelled = Promise.withResolvers<void>();
    await using up = await fakeUpstream(
      () =>
        new Response(
          new ReadableStream({
            pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
            cancel: () => cancelled.resolve(),
          }),
        ),
    );
    using gate = testGateway(
      [
        {
          path: "/*",
          steps: [
            async (c, next) => {
              await next();
              c.res = new Response("replaced");
            },
          ],
        },
      ],
      { upstream: up.url },
    );
    expect(await (await gate.fetch("/")).text()).toBe("replaced");
    await cancelled.promise;
  });

  test("without a step, a failure goes to the client as it is", async () => {
    using gate = testGateway([{ path: "/*" }], { upstream: "http://127.0.0.1:1" });
    const answer = await gate.fetch("/");
    expect(answer.status).toBe(502);
    await gate.ended(1);
    expect(gate.finished[0]?.failure?.reason).toBe("connect");
  });
});
