import { describe, expect, test } from "bun:test";
import {
  BodyQueue,
  BytesBody,
  type Candidate,
  collect,
  exchangeOf,
  mapBody,
  SluiceError,
} from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { type StepHandler, type TestStep, testGateway } from "../pipeline/test-gateway.ts";
import type { GatewayExchange } from "../pipeline/types.ts";
import { rawUpstream } from "./raw-upstream.ts";
import { deadUrl, failureOf, type Harness, harness } from "./test-harness.ts";

/* What candidates bring along runs as their plugins' code: bounded, contained, and without a trace for others. */

const bytes = (text: string) => new TextEncoder().encode(text);
const hang = (): Promise<void> => new Promise(() => {});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** A step that chooses the candidates. */
function chooses(...candidates: readonly Candidate[]): TestStep {
  const handle: StepHandler = async (c, next) => {
    exchangeOf(c).candidates = candidates;
    await next();
  };
  return { name: "chooser", handle, timeout: 200 };
}

describe.each(["prepare", "accept"] as const)("a candidate's %s", (hook) => {
  test("that hangs is given up after the timeout of the step that chose it, as that step's failure", async () => {
    await using up = await fakeUpstream(() => new Response("ok"));
    const begun = Promise.withResolvers<void>();
    const hangs = (): Promise<void> => {
      begun.resolve();
      return hang();
    };
    const steps = [chooses({ upstream: "u", [hook]: hangs }, { upstream: "u" })];
    using gate = testGateway([{ steps }], { upstream: up.url });
    const asked = gate.fetch("/");
    await begun.promise;
    await gate.clock.advance(150);
    expect(gate.gateway.active).toBe(1);
    await gate.clock.advance(150);
    const answer = await asked;
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ error: { code: "plugin_timeout" } });
    await gate.ended(1);
    expect(gate.finished[0]?.exchange.record.failedStep).toBe("test[0]");
    expect(gate.stepsFinished).toMatchObject([
      { step: "chooser", outcome: "timeout" },
      { step: "chooser", outcome: "ok" },
    ]);
    // Nobody else is asked: what hangs may wake up.
    expect(up.requests).toHaveLength(hook === "accept" ? 1 : 0);
  });

  test("that hangs is left when the client leaves", async () => {
    await using up = await fakeUpstream(() => new Response("ok"));
    const begun = Promise.withResolvers<void>();
    const waits = (): Promise<void> => {
      begun.resolve();
      return hang();
    };
    using gate = testGateway([{ steps: [chooses({ upstream: "u", [hook]: waits })] }], { upstream: up.url });
    const client = await gate.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await begun.promise;
    client.reset();
    await gate.ended(1);
    expect(gate.finished[0]?.failure?.code).toBe("client_closed");
    expect(gate.finished[0]?.exchange.record.failedStep).toBeUndefined();
    expect(gate.stepsFinished).toMatchObject([{ outcome: "ok" }]);
  });

  test("that throws is that step's failure; a refusal is none", async () => {
    await using up = await fakeUpstream(() => new Response("ok"));
    const fails = (error: Error) => () => {
      throw error;
    };
    using gate = testGateway(
      [
        { path: "/defect", steps: [chooses({ upstream: "u", [hook]: fails(new Error("a defect")) })] },
        {
          path: "/refused",
          steps: [chooses({ upstream: "u", [hook]: fails(new SluiceError("rate_limited", "Busy.")) })],
        },
      ],
      { upstream: up.url },
    );
    expect((await gate.fetch("/defect")).status).toBe(500);
    expect((await gate.fetch("/refused")).status).toBe(429);
    await gate.ended(2);
    expect(gate.finished.map(({ exchange }) => exchange.record.failedStep)).toEqual(["test[0]", undefined]);
    expect(gate.stepsFinished.map(({ outcome }) => outcome)).toEqual(["error", "ok", "ok"]);
  });

  test("whose failure another candidate made good is not the request's", async () => {
    await using up = await fakeUpstream(() => new Response("ok"));
    const steps = [
      chooses({ upstream: "u", [hook]: () => Promise.reject(new Error("a defect")) }, { upstream: "u" }),
    ];
    using gate = testGateway([{ steps }], { upstream: up.url });
    expect(await (await gate.fetch("/")).text()).toBe("ok");
    await gate.ended(1);
    expect(gate.finished[0]?.failure).toBeUndefined();
    expect(gate.finished[0]?.exchange.record.failedStep).toBeUndefined();
  });
});

test("a client that sends slowly does not use up the time of a candidate's prepare", async () => {
  await using up = await fakeUpstream(async (request) => new Response(await request.text()));
  let x: GatewayExchange | undefined;
  const candidate: Candidate = {
    upstream: "u",
    async prepare(exchange) {
      x = exchange as GatewayExchange;
      const { request } = x;
      const sent = await collect(request.body, 1_000);
      request.body = new BytesBody(Buffer.from(Buffer.from(sent!).toString().toUpperCase()));
    },
  };
  using gate = testGateway([{ steps: [chooses(candidate)] }], { upstream: up.url });
  const client = await gate.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
  await client.send("hello");
  await until(() => x?.record.bytesIn === 5);
  await gate.clock.advance(5_000);
  await client.send("world");
  await client.until("HELLOWORLD");
  await gate.ended(1);
  expect(gate.finished[0]?.exchange.record.clientWait).toBe(5_000);
});

test("what was left behind in a candidate's prepare is not taken for the step that goes on", async () => {
  const begun = Promise.withResolvers<void>();
  const enough = Promise.withResolvers<void>();
  let x: GatewayExchange | undefined;
  const candidate: Candidate = {
    upstream: "u",
    prepare() {
      begun.resolve();
      return hang();
    },
  };
  const readsLater: TestStep = {
    name: "reads later",
    timeout: 200,
    handle: async (c, next) => {
      x = exchangeOf(c) as GatewayExchange;
      await next();
      // What is given up below is over by now.
      await new Promise((resolve) => setImmediate(resolve));
      c.header("x-read", Buffer.from((await collect(x.request.body, 1_000))!).toString());
    },
  };
  const givesUp: TestStep = {
    name: "gives up",
    handle: async (c, next) => {
      await Promise.race([next(), enough.promise]);
      return c.text("enough");
    },
  };
  using gate = testGateway([{ steps: [readsLater, givesUp, chooses(candidate)] }], { upstream: deadUrl() });
  const client = await gate.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
  await begun.promise;
  enough.resolve();
  await client.send("hello");
  await until(() => x?.record.bytesIn === 5);
  await gate.clock.advance(5_000);
  await client.send("world");
  await client.until("enough");
  expect(client.received).toInclude("x-read: helloworld\r\n");
  await gate.ended(1);
  expect(gate.stepsFinished).toMatchObject([
    { step: "gives up", outcome: "ok" },
    { step: "reads later", ms: 0, outcome: "ok" },
  ]);
  expect(x!.record.clientWait).toBe(5_000);
  expect(x!.atWork).toBeUndefined();
});

describe("what a candidate does to the request", () => {
  const first: Candidate = {
    upstream: "first",
    prepare({ request }) {
      request.headers.set("authorization", "Bearer KEY-OF-FIRST");
      request.headers.delete("x-client");
      request.method = "PUT";
      request.path = "/first";
      request.search = "?key=first";
      request.body = new BytesBody(bytes("for the first"));
    },
  };

  async function asked(gate: Harness, ...candidates: readonly Candidate[]): Promise<string> {
    const x = gate.exchange({
      method: "POST",
      path: "/sent",
      search: "?q=1",
      headers: [["x-client", "1"]],
      body: new BytesBody(bytes("from the client")),
      candidates,
    });
    await gate.forwarder.forward(x);
    const text = await x.text();
    // Nor do the steps find it, on the way out or when they try once more.
    expect(x.request).toMatchObject({ method: "POST", path: "/sent", search: "?q=1" });
    expect([...x.request.headers]).toEqual([["x-client", "1"]]);
    return text;
  }

  test("reaches no other one", async () => {
    await using second = await fakeUpstream(async (request) => new Response(await request.text()));
    await using gate = harness({ first: { url: deadUrl() }, second: { url: second.url } });
    expect(await asked(gate, first, { upstream: "second" })).toBe("from the client");
    const [seen] = second.requests;
    expect([seen?.method, seen?.target]).toEqual(["POST", "/sent?q=1"]);
    expect(seen?.headers.has("authorization")).toBe(false);
    expect(seen?.headers.get("x-client")).toBe("1");
  });

  test("is there for itself", async () => {
    await using up = await fakeUpstream(async (request) => new Response(await request.text()));
    await using gate = harness({ first: { url: up.url } });
    expect(await asked(gate, first)).toBe("for the first");
    const [seen] = up.requests;
    expect([seen?.method, seen?.target]).toEqual(["PUT", "/first?key=first"]);
    expect(seen?.headers.get("authorization")).toBe("Bearer KEY-OF-FIRST");
  });
});

describe("a client's body", () => {
  const reads: Candidate["prepare"] = async ({ request }) => {
    const text = Buffer.from((await collect(request.body, 1_000))!).toString();
    request.body = new BytesBody(bytes(`[${text}]`));
  };

  test("is there for every candidate that reads it", async () => {
    await using second = await fakeUpstream(async (request) => new Response(await request.text()));
    await using gate = harness({ first: { url: deadUrl() }, second: { url: second.url } });
    const body = new BodyQueue({ pause() {}, resume() {}, cancelled() {} });
    body.push(bytes("hello"));
    body.end();
    const candidates = [
      { upstream: "first", prepare: reads },
      { upstream: "second", prepare: reads },
    ];
    const x = gate.exchange({ method: "POST", body, candidates });
    await gate.forwarder.forward(x);
    expect(await x.text()).toBe("[hello]");
  });

  test("of which a part is gone is not sent as if it were whole", async () => {
    using first = rawUpstream([]);
    await using second = await fakeUpstream(() => new Response("second"));
    await using gate = harness({ first: { url: first.url }, second: { url: second.url } });
    const body = new BodyQueue({ pause() {}, resume() {}, cancelled() {} });
    const wraps: Candidate["prepare"] = ({ request }) => {
      request.body = mapBody(request.body!, { chunk: (chunk) => chunk });
    };
    const candidates = [{ upstream: "first" }, { upstream: "second", prepare: wraps }];
    const x = gate.exchange({ method: "PUT", body, candidates });
    const forwarded = failureOf(gate.forwarder.forward(x));
    body.push(bytes("piece"));
    await first.until("piece");
    first.cut();
    body.push(bytes("rest"));
    body.end();
    expect(await forwarded).toMatchObject({ reason: "body_not_kept" });
    expect(second.requests.filter((request) => request.body.byteLength > 0)).toHaveLength(0);
  });
});
