import { describe, expect, test } from "bun:test";
import type { Context } from "hono";
import { BytesBody, collect, exchangeOf, HeaderList, mapBody, SluiceError } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { rawUpstream } from "../forward/raw-upstream.ts";
import { type StepHandler, testGateway } from "./test-gateway.ts";
import type { GatewayExchange } from "./types.ts";

/* What plugins do with the bodies of requests and answers, through a gateway on a real port. */

const OK = { kind: "respond", status: 200, headers: [], body: "ok" } as const;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

const echo = (request: Request): Promise<Response> => request.text().then((text) => new Response(text));
const head = (length: number) => `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\n\r\n`;

describe("a request body that a step reads", () => {
  const readers: readonly [string, StepHandler][] = [
    ["c.req.text()", async (c, next) => (await c.req.text(), next())],
    ["c.req.raw.text()", async (c, next) => (await c.req.raw.text(), next())],
    [
      "collect(exchange.request.body)",
      async (c, next) => {
        const bytes = await collect(exchangeOf(c).request.body, 1_000_000);
        expect(Buffer.from(bytes!).toString()).toBe("hello");
        await next();
      },
    ],
  ];
  test.each(readers)(
    "by %s goes upstream all the same, and is there for the next step",
    async (_what, read) => {
      await using up = await fakeUpstream(echo);
      using gate = testGateway([{ steps: [read, readers[2]![1]] }], { upstream: up.url });
      const answer = await gate.fetch("/", { method: "POST", body: "hello" });
      expect(await answer.text()).toBe("hello");
      await gate.ended(1);
    },
  );

  const gatherers: readonly [string, StepHandler][] = [
    ...readers.slice(0, 2),
    [
      "collect(exchange.request.body)",
      async (c) => void (await collect(exchangeOf(c).request.body, 1 << 30)),
    ],
  ];
  test.each(gatherers)("by %s is gathered up to limits.buffered_body and no further", async (_what, read) => {
    await using up = await fakeUpstream(echo);
    using gate = testGateway([{ steps: [read] }], { upstream: up.url, bufferedBody: 100_000 });
    const client = await gate.connect("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    const piece = `10000\r\n${"x".repeat(65_536)}\r\n`;
    await client.send(piece);
    await client.send(piece);
    // Its end never comes: the refusal does not wait for it.
    await client.until('"reason":"limits.buffered_body"');
    expect(client.received).toStartWith("HTTP/1.1 413");
    await gate.ended(1);
    expect(gate.finished[0]?.exchange.record.bytesIn).toBeLessThan(300_000);
    expect(up.requests).toHaveLength(0);
    expect(gate.stepsFinished).toMatchObject([{ outcome: "ok" }]);
  });

  test("and that is too long may be forwarded by a step that has seen enough", async () => {
    await using up = await fakeUpstream(echo);
    const look: StepHandler = async (c, next) => {
      await c.req.text().catch((error: unknown) => expect(error).toBeInstanceOf(SluiceError));
      await next();
    };
    using gate = testGateway([{ steps: [look] }], { upstream: up.url, bufferedBody: 1_000 });
    const body = "0123456789".repeat(50_000);
    const answer = await gate.fetch("/", { method: "POST", body });
    expect(await answer.text()).toBe(body);
  });

  test.each([
    ["an echo", (c) => new Response(c.req.raw.body)] as [string, StepHandler],
    [
      "one that took it out of the request",
      async (c) => {
        const { request } = exchangeOf(c);
        const { body } = request;
        request.body = null;
        const bytes = await collect(body, 1 << 30);
        return new Response(Buffer.from(bytes!));
      },
    ] as [string, StepHandler],
  ])("by %s is not bounded: nothing of it is kept", async (_what, handle) => {
    using gate = testGateway([{ steps: [handle] }], { bufferedBody: 1_000 });
    const body = "0123456789".repeat(50_000);
    expect(await (await gate.fetch("/", { method: "POST", body })).text()).toBe(body);
  });

  test("through a body of its own passes at any length", async () => {
    await using up = await fakeUpstream(echo);
    const upper: StepHandler = async (c, next) => {
      const { request } = exchangeOf(c);
      request.body = mapBody(request.body!, {
        chunk: (chunk) => Buffer.from(Buffer.from(chunk).toString().toUpperCase()),
      });
      await next();
    };
    using gate = testGateway([{ steps: [upper] }], { upstream: up.url, bufferedBody: 1_000 });
    const answer = await gate.fetch("/", { method: "POST", body: "abcdefghij".repeat(50_000) });
    expect(await answer.text()).toBe("ABCDEFGHIJ".repeat(50_000));
  });
});

describe("time that somebody else takes is not the step's", () => {
  const looks: readonly [string, (x: GatewayExchange, c: Context) => Promise<unknown>][] = [
    ["c.req.text()", (_, c) => c.req.text()],
    ["exchange.request.body", (x) => collect(x.request.body, 1_000)],
    [
      "a body that it takes for itself",
      async ({ request }) => {
        const { body } = request;
        request.body = null;
        request.body = new BytesBody((await collect(body, 1_000))!);
      },
    ],
    [
      "a body that it changes",
      async ({ request }) => {
        const mapped = mapBody(request.body!, { chunk: (chunk) => chunk });
        request.body = mapped;
        request.body = new BytesBody((await collect(mapped, 1_000))!);
      },
    ],
    [
      "a stream that it gives in its place",
      async ({ request }, c) => {
        const stream = c.req.raw.body!;
        request.body = null;
        request.body = new BytesBody(await new Response(stream).bytes());
      },
    ],
  ];
  test.each(looks)("a client that sends slowly, to a step that reads %s", async (_what, look) => {
    await using up = await fakeUpstream(echo);
    let x: GatewayExchange | undefined;
    const read: StepHandler = async (c, next) => {
      x = exchangeOf(c) as GatewayExchange;
      await look(x, c);
      await gate.clock.advance(30);
      await next();
    };
    using gate = testGateway([{ steps: [{ name: "reads", handle: read, timeout: 200 }] }], {
      upstream: up.url,
    });
    const client = await gate.connect(head(10));
    await client.send("hello");
    await until(() => x?.record.bytesIn === 5);
    await gate.clock.advance(5_000);
    await client.send("world");
    await client.until("helloworld");
    await gate.ended(1);
    expect(gate.finished[0]?.failure).toBeUndefined();
    expect(gate.stepsFinished).toEqual([{ step: "reads", ms: 30, outcome: "ok" }]);
    expect(gate.finished[0]?.exchange.record.clientWait).toBe(5_000);
  });

  test("an upstream that answers slowly, to a step that reads the answer", async () => {
    const reading = Promise.withResolvers<void>();
    using up = rawUpstream(["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"]);
    const read: StepHandler = async (c, next) => {
      await next();
      const text = c.res.text();
      reading.resolve();
      c.res = new Response((await text).toUpperCase());
    };
    using gate = testGateway([{ steps: [{ name: "reads", handle: read, timeout: 200 }] }], {
      upstream: up.url,
    });
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await reading.promise;
    await gate.clock.advance(5_000);
    up.send("world");
    await client.until("HELLOWORLD");
    await gate.ended(1);
    expect(gate.finished[0]?.failure).toBeUndefined();
    expect(gate.stepsFinished).toMatchObject([{ step: "reads", ms: 0, outcome: "ok" }]);
    expect(gate.finished[0]?.exchange.record.upstreamWait).toBe(5_000);
  });

  test("its own time counts as before", async () => {
    const read = Promise.withResolvers<void>();
    const hangs: StepHandler = async (c) => {
      await c.req.text();
      read.resolve();
      await new Promise(() => {});
    };
    using gate = testGateway([{ steps: [{ name: "hangs", handle: hangs, timeout: 200 }], action: OK }]);
    const asked = gate.fetch("/", { method: "POST", body: "hello" });
    await read.promise;
    await gate.clock.advance(300);
    expect((await asked).status).toBe(500);
    expect(gate.stepsFinished).toMatchObject([{ outcome: "timeout" }]);
  });
});

describe("a second try", () => {
  const BUSY = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n";
  const FINE = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

  test.each([
    ["it looks at nothing", async (_c, next) => next()] as [string, StepHandler],
    [
      "it looks at c.res",
      async (c, next) => {
        expect(c.res.status).toBe(503);
        await next();
      },
    ] as [string, StepHandler],
    [
      "it clears c.res, as with Hono",
      async (c, next) => {
        c.res = undefined;
        await next();
      },
    ] as [string, StepHandler],
  ])("has the connection of the first one's answer, where %s", async (_what, again) => {
    using up = rawUpstream([BUSY, FINE]);
    const retry: StepHandler = async (c, next) => {
      await next();
      return again(c, next);
    };
    using gate = testGateway([{ steps: [retry] }], { upstream: up.url, maxConnections: 1 });
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    await client.until("fine");
    await gate.ended(1);
    expect(gate.finished[0]?.exchange.record.attempts).toBe(2);
  });

  test("keeps what a step made of the first answer for itself", async () => {
    using up = rawUpstream([`${BUSY}0\r\n\r\n`, "HTTP/1.1 500 Worse\r\nContent-Length: 0\r\n\r\n"]);
    const retry: StepHandler = async (c, next) => {
      await next();
      const first = c.res.clone();
      await next();
      if (c.res.status >= 500) c.res = first as unknown as Response;
    };
    using gate = testGateway([{ steps: [retry] }], { upstream: up.url });
    const answer = await gate.fetch("/");
    expect([answer.status, await answer.text()]).toEqual([503, "busy"]);
  });

  test("takes nothing away from a step that is reading the first answer", async () => {
    const release = Promise.withResolvers<void>();
    let count = 0;
    await using up = await fakeUpstream(() => {
      if (count++ > 0) return new Response("fine");
      const body = new ReadableStream({
        async start(controller) {
          controller.enqueue(Buffer.from("busy"));
          await release.promise;
          controller.enqueue(Buffer.from(" end"));
          controller.close();
        },
      });
      return new Response(body, { status: 503 });
    });
    const retry: StepHandler = async (c, next) => {
      await next();
      const first = c.res.text();
      await next();
      release.resolve();
      c.header("x-first", await first);
    };
    using gate = testGateway([{ steps: [retry] }], { upstream: up.url });
    const answer = await gate.fetch("/");
    expect([answer.headers.get("x-first"), await answer.text()]).toEqual(["busy end", "fine"]);
  });
});

describe("a stream of a plugin's own", () => {
  function stream(): { stream: ReadableStream<Uint8Array>; cancelled: Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<void>();
    return {
      cancelled: promise,
      stream: new ReadableStream({ pull: (c) => c.enqueue(Buffer.from("x")), cancel: () => resolve() }),
    };
  }

  test("that an error takes the place of is cancelled", async () => {
    const made = stream();
    using gate = testGateway([
      {
        steps: [
          (c) => {
            c.res = new Response(made.stream);
            throw new Error("after all, no");
          },
        ],
      },
    ]);
    expect((await gate.fetch("/")).status).toBe(500);
    await made.cancelled;
  });

  test("that another step replaces is cancelled, and one that it works on is not", async () => {
    const made = stream();
    using gate = testGateway([
      {
        path: "/replaced",
        steps: [
          async (c, next) => {
            await next();
            c.res = new Response("better");
          },
          () => new Response(made.stream),
        ],
      },
      {
        path: "/derived",
        steps: [
          async (c, next) => {
            await next();
            c.res = new Response(c.res.body!.pipeThrough(new TransformStream()), c.res);
          },
          () =>
            new Response(
              new ReadableStream({
                async pull(c) {
                  await new Promise((resolve) => setImmediate(resolve));
                  c.enqueue(Buffer.from("whole"));
                  c.close();
                },
              }),
            ),
        ],
      },
    ]);
    expect(await (await gate.fetch("/replaced")).text()).toBe("better");
    await made.cancelled;
    expect(await (await gate.fetch("/derived")).text()).toBe("whole");
  });

  test.each([
    [
      "that breaks",
      () =>
        new Response(
          new ReadableStream({
            pull() {
              throw new Error("broken stream");
            },
          }),
        ),
    ] as [string, StepHandler],
    [
      "of a body, that breaks",
      (c) => {
        const body = {
          length: undefined,
          trailers: undefined,
          cancel() {},
          read: () => Promise.reject(new Error("broken stream")),
        };
        exchangeOf(c).response = { status: 200, headers: new HeaderList(), body, source: "gateway" };
      },
    ] as [string, StepHandler],
    [
      "through which an upstream's answer goes, that breaks",
      async (c, next) => {
        await next();
        const { response } = exchangeOf(c);
        response!.body = mapBody(response!.body!, {
          chunk() {
            throw new Error("broken stream");
          },
        });
      },
    ] as [string, StepHandler],
  ])("%s is the plugin's failure, with its error", async (_what, handle) => {
    await using up = await fakeUpstream(() => new Response("upstream"));
    using gate = testGateway([{ steps: [handle] }], { upstream: up.url });
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await client.ended();
    await gate.ended(1);
    const { failure, sent } = gate.finished[0]!;
    expect(sent.complete).toBe(false);
    expect(failure).toMatchObject({ code: "plugin_failed", reason: "response_body", owner: "plugin" });
    expect(failure?.cause).toMatchObject({ message: "broken stream" });
  });

  test("an upstream's answer that breaks off is the upstream's failure", async () => {
    using up = rawUpstream(["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"]);
    using gate = testGateway([{ steps: [(_c, next) => next()] }], { upstream: up.url });
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await client.until("begun");
    up.cut();
    await gate.ended(1);
    expect(gate.finished[0]?.failure).toMatchObject({ owner: "upstream", reason: "reset" });
  });
});

test("an answer whose memory a step has given away breaks off, and holds nobody else's bytes", async () => {
  const give: StepHandler = (c) => {
    const bytes = new Uint8Array(300);
    exchangeOf(c).response = {
      status: 200,
      headers: new HeaderList(),
      body: new BytesBody(bytes),
      source: "gateway",
    };
    bytes.buffer.transfer(0);
  };
  const secret = { kind: "respond", status: 200, headers: [], body: "secret ".repeat(60) } as const;
  using gate = testGateway([
    { path: "/secret", action: secret },
    { path: "/given-away", steps: [give] },
  ]);
  expect(await (await gate.fetch("/secret")).text()).toBe(secret.body);
  const client = await gate.connect("GET /given-away HTTP/1.1\r\nHost: h\r\n\r\n");
  expect(await client.ended()).toBe("");
  await gate.ended(2);
  expect(gate.finished[1]).toMatchObject({ sent: { complete: false } });
});
