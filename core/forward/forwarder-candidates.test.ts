import { expect, test } from "bun:test";
import { BodyQueue, BytesBody, type Candidate, type ExchangeResponse, SluiceError } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { deadUrl, failureOf, harness } from "./test-harness.ts";
import { rawUpstream } from "./raw-upstream.ts";

const nobody = { pause() {}, resume() {}, cancelled() {} };
const bytes = (text: string) => new TextEncoder().encode(text);

const both: readonly Candidate[] = [{ upstream: "first" }, { upstream: "second" }];

test("one that cannot be reached is followed by the next, with the whole body", async () => {
  await using second = await fakeUpstream(async (request) => new Response(await request.text()));
  await using gate = harness({ first: { url: deadUrl() }, second: { url: second.url } });
  const x = gate.exchange({ method: "POST", body: new BytesBody(bytes("hello")), candidates: both });
  await gate.forwarder.forward(x);
  expect(await x.text()).toBe("hello");
  expect(x.record).toMatchObject({ upstream: "second", target: second.url, attempts: 2 });
  expect(gate.inFlight("first") + gate.inFlight("second")).toBe(0);
  expect(gate.log.lines).toMatchObject([
    { level: "warn", fields: { upstream: "first", event: "unreachable", reason: "connect" } },
    { level: "warn", fields: { request_id: x.requestId, upstream: "first", reason: "connect" } },
  ]);
});

test("the last one's failure is the answer", async () => {
  await using gate = harness({ first: { url: deadUrl() }, second: { url: deadUrl() } });
  const x = gate.exchange({ candidates: both });
  expect(await failureOf(gate.forwarder.forward(x))).toMatchObject({
    code: "upstream_failed",
    reason: "connect",
  });
  expect(x.record.attempts).toBe(2);
  expect(x.response).toBeUndefined();
});

test("after the request was sent, only an idempotent one goes on (RFC 9110 §9.2.2)", async () => {
  for (const method of ["GET", "PUT", "POST", "PATCH"]) {
    using first = rawUpstream([]);
    await using second = await fakeUpstream(() => new Response("second"));
    await using gate = harness({ first: { url: first.url }, second: { url: second.url } });
    const x = gate.exchange({ method, candidates: both });
    const forwarded = gate.forwarder.forward(x);
    await first.until("\r\n\r\n");
    first.cut();
    if (method === "GET" || method === "PUT") {
      await forwarded;
      expect(await x.text()).toBe("second");
    } else {
      expect(await failureOf(forwarded)).toMatchObject({ reason: "reset" });
      expect(second.requests).toHaveLength(0);
    }
  }
});

test("a body that went out cannot be sent again: the failure is the first one's", async () => {
  using first = rawUpstream([]);
  await using second = await fakeUpstream(() => new Response("second"));
  await using gate = harness({ first: { url: first.url }, second: { url: second.url } });
  const body = new BodyQueue(nobody);
  const x = gate.exchange({ method: "PUT", body, candidates: both });
  const forwarded = gate.forwarder.forward(x);
  body.push(bytes("piece"));
  await first.until("piece");
  first.cut();
  expect(await failureOf(forwarded)).toMatchObject({ reason: "reset" });
  expect(second.requests).toHaveLength(0);
});

test("each is prepared before it is asked, and its answer accepted", async () => {
  await using upstream = await fakeUpstream((request) => new Response(new URL(request.url).pathname));
  await using gate = harness({ u: { url: upstream.url } });
  const candidate: Candidate = {
    upstream: "u",
    prepare(x) {
      x.request.path = "/prepared";
      x.request.headers.set("x-prepared", "1");
    },
    async accept(_, answer: ExchangeResponse) {
      await Promise.resolve();
      answer.status = 299;
      answer.headers.set("x-accepted", "1");
    },
  };
  const x = gate.exchange({ path: "/sent", candidates: [candidate] });
  await gate.forwarder.forward(x);
  expect(upstream.requests[0]!.headers.get("x-prepared")).toBe("1");
  expect(x.response!.status).toBe(299);
  expect(x.response!.headers.get("x-accepted")).toBe("1");
  expect(await x.text()).toBe("/prepared");
});

test("an answer that is not accepted is dropped, and the next is asked, whatever the method", async () => {
  using first = rawUpstream(["HTTP/1.1 429 Too Many Requests\r\nContent-Length: 100\r\n\r\nwait"]);
  await using second = await fakeUpstream(async (request) => new Response(await request.text()));
  await using gate = harness({ first: { url: first.url }, second: { url: second.url } });
  const refuses: Candidate = {
    upstream: "first",
    accept(_, answer) {
      if (answer.status === 429) throw new SluiceError("rate_limited", "the provider is busy");
    },
  };
  const replays: Candidate = {
    upstream: "second",
    prepare(exchange) {
      exchange.request.body = new BytesBody(bytes("again"));
    },
  };
  const x = gate.exchange({
    method: "POST",
    body: new BytesBody(bytes("hello")),
    candidates: [refuses, replays],
  });
  await gate.forwarder.forward(x);
  expect(await x.text()).toBe("again");
  await first.closed();
  expect(gate.inFlight("first")).toBe(0);
});

test("one that cannot be prepared, or that does not exist, is passed over", async () => {
  await using upstream = await fakeUpstream(() => new Response("ok"));
  await using gate = harness({ u: { url: upstream.url } });
  const broken: Candidate = {
    upstream: "u",
    prepare() {
      throw new Error("a defect");
    },
  };
  const x = gate.exchange({ candidates: [broken, { upstream: "missing" }, { upstream: "u" }] });
  await gate.forwarder.forward(x);
  expect(await x.text()).toBe("ok");
  expect(x.record.attempts).toBe(1);
  expect(gate.log.lines.map((line) => line.fields["reason"])).toEqual(["plugin_failed", "unknown_upstream"]);
});

test("a route that ends without a candidate is a plugin's failure", async () => {
  await using gate = harness({});
  expect(await failureOf(gate.forwarder.forward(gate.exchange({ candidates: [] })))).toMatchObject({
    code: "plugin_failed",
    reason: "no_candidate",
  });
});

test("nobody is asked for a client that has left", async () => {
  await using second = await fakeUpstream(() => new Response("second"));
  await using gate = harness({ first: { url: deadUrl() }, second: { url: second.url } });
  const leaving: Candidate = {
    upstream: "first",
    prepare: () => x.cancel(new SluiceError("client_closed", "the client left")),
  };
  const x = gate.exchange({ candidates: [leaving, { upstream: "second" }] });
  expect(await failureOf(gate.forwarder.forward(x))).toMatchObject({ code: "client_closed" });
  expect(second.requests).toHaveLength(0);
});

test("a second run replaces the answer of the first", async () => {
  let count = 0;
  await using upstream = await fakeUpstream(() => new Response(`answer ${++count}`));
  await using gate = harness({ u: { url: upstream.url } });
  const x = gate.exchange();
  await gate.forwarder.forward(x);
  await gate.forwarder.forward(x);
  expect(await x.text()).toBe("answer 2");
  expect(x.response!.headers.all("via")).toHaveLength(1);
  x.release();
  expect(gate.inFlight("u")).toBe(0);
});
