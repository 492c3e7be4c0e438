import { describe, expect, test } from "bun:test";
import { BodyQueue, BytesBody, SluiceError } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { failureOf, harness, type Informed } from "./test-harness.ts";
import { rawUpstream } from "./raw-upstream.ts";

const nobody = { pause() {}, resume() {}, cancelled() {} };
const bytes = (text: string) => new TextEncoder().encode(text);

describe("a request and its answer", () => {
  test("pass with everything that is end to end", async () => {
    await using upstream = await fakeUpstream(
      () => new Response("made", { status: 201, headers: { etag: '"x"', location: "http://internal/1" } }),
    );
    await using gate = harness({ u: { url: `${upstream.url}/base` } });
    const x = gate.exchange({
      method: "PUT",
      path: "/a%2Fb",
      search: "?q=%zz",
      authority: "Shop.example:8080",
      headers: [["content-type", "text/plain"]],
      body: new BytesBody(bytes("hello")),
    });
    await gate.forwarder.forward(x);

    const seen = upstream.requests[0]!;
    expect([seen.method, seen.target, await seen.text()]).toEqual(["PUT", "/base/a%2Fb?q=%zz", "hello"]);
    expect(seen.headers.get("host")).toBe("Shop.example:8080");
    expect(seen.headers.get("content-type")).toBe("text/plain");
    expect(seen.headers.get("content-length")).toBe("5");
    expect(seen.headers.get("x-forwarded-for")).toBe("203.0.113.7");
    expect(seen.headers.get("via")).toBe("1.1 gate-1");
    expect(seen.headers.has("user-agent")).toBe(false);

    expect(x.response).toMatchObject({ status: 201, source: "upstream" });
    expect(x.response!.headers.get("etag")).toBe('"x"');
    expect(x.response!.headers.get("location")).toBe("http://internal/1");
    expect(x.response!.headers.get("via")).toBe("1.1 gate-1");
    expect(x.response!.headers.has("connection")).toBe(false);
    expect(await x.text()).toBe("made");
    expect(x.record).toMatchObject({ upstream: "u", target: `${upstream.url}/base`, attempts: 1 });
  });

  test("name TE in Connection where trailers are wanted (RFC 9110 §10.1.4)", async () => {
    const answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    using upstream = rawUpstream([answer]);
    await using gate = harness({ u: { url: upstream.url } });
    await gate.forwarder.forward(gate.exchange({ headers: [["te", "trailers"]] }));
    expect(upstream.received).toContain("\r\nte: trailers\r\n");
    expect(upstream.received).toContain("\r\nconnection: te\r\n");
  });

  test("name the host that a step has set", async () => {
    await using upstream = await fakeUpstream(() => new Response());
    await using gate = harness({ u: { url: upstream.url } });
    const x = gate.exchange();
    x.request.headers.set("host", "internal.example");
    await gate.forwarder.forward(x);
    expect(upstream.requests[0]!.headers.all("host")).toEqual(["internal.example"]);
    expect(upstream.requests[0]!.headers.get("x-forwarded-host")).toBe("shop.example");
  });

  test("name the target where an HTTP/1.0 client named nobody", async () => {
    await using upstream = await fakeUpstream(() => new Response());
    await using gate = harness({ u: { url: `${upstream.url}/base` } });
    const x = gate.exchange({ authority: "", version: "1.0" });
    await gate.forwarder.forward(x);
    expect(upstream.requests[0]!.headers.get("host")).toBe(`127.0.0.1:${upstream.port}`);
    expect(upstream.requests[0]!.headers.get("via")).toBe("1.0 gate-1");
  });

  test("OPTIONS of the server as a whole has no base path (RFC 9112 §3.2.4)", async () => {
    using upstream = rawUpstream(["HTTP/1.1 204 No Content\r\n\r\n"]);
    await using gate = harness({ u: { url: `${upstream.url}/base` } });
    await gate.forwarder.forward(gate.exchange({ method: "OPTIONS", path: "*" }));
    expect(upstream.received).toStartWith("OPTIONS * HTTP/1.1\r\n");
  });

  test.each<[string, string, number]>([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 200],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n", 204],
    ["GET", 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 12\r\n\r\n', 304],
    ["GET", "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302],
  ])("%s answered %j is over with its head", async (method, answer, status) => {
    using upstream = rawUpstream([answer]);
    await using gate = harness({ u: { url: upstream.url } });
    const x = gate.exchange({ method });
    await gate.forwarder.forward(x);
    expect(x.response!.status).toBe(status);
    expect(await x.text()).toBe("");
    expect(gate.inFlight("u")).toBe(0);
  });

  test("informational answers reach the client before it", async () => {
    using upstream = rawUpstream([
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ]);
    await using gate = harness({ u: { url: upstream.url } });
    const informed: Informed[] = [];
    const x = gate.exchange({ informed });
    await gate.forwarder.forward(x);
    expect(informed).toEqual([[103, [["link", "</a.css>"]]]]);
    expect(await x.text()).toBe("ok");
  });
});

describe("a request that may go no further (RFC 9110 §7.6.2)", () => {
  const headers = [["max-forwards", "0"]] as const;

  test("is answered here", async () => {
    await using gate = harness({});
    const x = gate.exchange({ method: "OPTIONS", headers });
    await gate.forwarder.forward(x);
    expect(x.response).toMatchObject({ status: 204, source: "gateway" });
  });

  test("is refused for TRACE, and means nothing to other methods", async () => {
    await using upstream = await fakeUpstream(() => new Response());
    await using gate = harness({ u: { url: upstream.url } });
    const trace = gate.exchange({ method: "TRACE", headers });
    expect(await failureOf(gate.forwarder.forward(trace))).toMatchObject({ code: "method_not_allowed" });
    await gate.forwarder.forward(gate.exchange({ headers }));
    expect(upstream.requests.map((request) => request.method)).toEqual(["GET"]);
  });
});

describe("bodies stream", () => {
  test("up: the upstream has the first piece before the client has sent the last", async () => {
    using upstream = rawUpstream([]);
    await using gate = harness({ u: { url: upstream.url } });
    const body = new BodyQueue(nobody);
    const x = gate.exchange({ method: "POST", body });
    const forwarded = gate.forwarder.forward(x);
    body.push(bytes("first"));
    await upstream.until("first");
    body.push(bytes("last"));
    body.end();
    await upstream.until("last\r\n0\r\n\r\n");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await forwarded;
    expect(await x.text()).toBe("ok");
    expect(x.record.bytesIn).toBe(9);
  });

  test("down: the client has the first piece before the upstream has sent the last", async () => {
    using upstream = rawUpstream(["HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfour"]);
    await using gate = harness({ u: { url: upstream.url } });
    const x = gate.exchange();
    await gate.forwarder.forward(x);
    expect(x.response!.body!.length).toBe(8);
    expect(await x.response!.body!.read()).toEqual(bytes("four"));
    expect(gate.inFlight("u")).toBe(1);
    upstream.send("five");
    expect(await x.text()).toBe("five");
    expect(gate.inFlight("u")).toBe(0);
  });

  test("an answer that breaks off is never seen as complete", async () => {
    using upstream = rawUpstream(["HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfour"]);
    await using gate = harness({ u: { url: upstream.url } });
    const x = gate.exchange();
    await gate.forwarder.forward(x);
    expect(await x.response!.body!.read()).toEqual(bytes("four"));
    upstream.cut();
    expect(await failureOf(x.text())).toMatchObject({ code: "upstream_failed", reason: "reset" });
    expect(gate.inFlight("u")).toBe(0);
  });

  test("trailers come behind the body", async () => {
    using upstream = rawUpstream([
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
    ]);
    await using gate = harness({ u: { url: upstream.url } });
    const x = gate.exchange();
    await gate.forwarder.forward(x);
    expect(x.response!.headers.has("trailer")).toBe(false);
    expect(await x.text()).toBe("ok");
    expect([...x.response!.body!.trailers!]).toEqual([["x-sum", "7"]]);
  });
});

describe("a client that leaves", () => {
  test("ends the upstream call before the answer", async () => {
    using upstream = rawUpstream([]);
    await using gate = harness({ u: { url: upstream.url } });
    const x = gate.exchange();
    const forwarded = gate.forwarder.forward(x);
    await upstream.until("\r\n\r\n");
    expect(gate.inFlight("u")).toBe(1);
    x.cancel(new SluiceError("client_closed", "the client left"));
    expect(await failureOf(forwarded)).toMatchObject({ code: "client_closed" });
    await upstream.closed();
    expect(gate.inFlight("u")).toBe(0);
  });

  test("ends it in the middle of the answer", async () => {
    using upstream = rawUpstream(["HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfour"]);
    await using gate = harness({ u: { url: upstream.url } });
    const x = gate.exchange();
    await gate.forwarder.forward(x);
    x.response!.body!.cancel();
    await upstream.closed();
    expect(gate.inFlight("u")).toBe(0);
  });
});

describe("timeouts.request", () => {
  test("ends the exchange before the answer: 504", async () => {
    using upstream = rawUpstream([]);
    await using gate = harness({ u: { url: upstream.url, timeouts: { request: 1_000 } } });
    const forwarded = failureOf(gate.forwarder.forward(gate.exchange()));
    await upstream.until("\r\n\r\n");
    await gate.clock.advance(1_050);
    expect(await forwarded).toMatchObject({
      code: "upstream_timeout",
      reason: "timeout.request",
      status: 504,
    });
    await upstream.closed();
    expect(gate.inFlight("u")).toBe(0);
  });

  test("cuts the answer in the middle, whether or not somebody waits for the next piece", async () => {
    for (const waiting of [true, false]) {
      using upstream = rawUpstream(["HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfour"]);
      await using gate = harness({ u: { url: upstream.url, timeouts: { request: 1_000 } } });
      const x = gate.exchange();
      await gate.forwarder.forward(x);
      await x.response!.body!.read();
      const rest = waiting ? failureOf(x.text()) : undefined;
      await gate.clock.advance(1_050);
      expect(await (rest ?? failureOf(x.text()))).toMatchObject({ reason: "timeout.request" });
      await upstream.closed();
      expect(gate.inFlight("u")).toBe(0);
    }
  });

  test("does not touch what was over in time", async () => {
    await using upstream = await fakeUpstream(() => new Response("ok"));
    await using gate = harness({ u: { url: upstream.url, timeouts: { request: 1_000 } } });
    const x = gate.exchange();
    await gate.forwarder.forward(x);
    expect(await x.text()).toBe("ok");
    await gate.clock.advance(5_000);
    expect(x.record.failure).toBeUndefined();
    expect(gate.inFlight("u")).toBe(0);
  });
});

test("the time until the answer is noted", async () => {
  using upstream = rawUpstream([]);
  await using gate = harness({ u: { url: upstream.url } });
  const x = gate.exchange();
  const forwarded = gate.forwarder.forward(x);
  await upstream.until("\r\n\r\n");
  await gate.clock.advance(250);
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  await forwarded;
  expect(x.record.upstreamWait).toBe(250);
});
