import { expect, test } from "bun:test";
import { BytesBody, SluiceError } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import type { HedgeConfig } from "../../config/types.ts";
import { rawUpstream } from "./raw-upstream.ts";
import { failureOf, harness } from "./test-harness.ts";

/* A second request beside one that is slow: the first good answer wins, and what is beside it is given up. */

const HEDGE: HedgeConfig = { after: { ms: 100 }, max: 1, ratio: 1, methods: ["GET", "HEAD", "PUT"] };
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("the other target is asked after the delay, its answer wins, and the slow one is given up", async () => {
  using slow = rawUpstream([]);
  await using good = await fakeUpstream(() => new Response("good"));
  await using gate = harness({ u: { urls: [slow.url, good.url], hedge: HEDGE } });
  const x = gate.exchange();
  const forwarded = gate.forwarder.forward(x);
  await slow.until("\r\n\r\n");
  await gate.clock.advance(99);
  expect(good.requests).toHaveLength(0);
  await gate.clock.advance(1);
  await forwarded;
  expect([await x.text(), x.record.target, x.record.attempts]).toEqual(["good", good.url, 2]);
  await slow.closed();
  expect(gate.inFlight("u")).toBe(0);
  expect(gate.retries).toEqual([["u", "hedge", "sent"]]);
  // Who was given up has not failed.
  expect(gate.tries.map(([, , status, reason]) => [status, reason])).toEqual([
    [200, undefined],
    [0, undefined],
  ]);
});

test("a fast answer is not hedged, and a slow first one may still win", async () => {
  using slow = rawUpstream([]);
  using slower = rawUpstream([]);
  await using gate = harness({ u: { urls: [slow.url, slower.url], hedge: HEDGE } });
  const x = gate.exchange();
  const forwarded = gate.forwarder.forward(x);
  await slow.until("\r\n\r\n");
  await gate.clock.advance(100);
  await slower.until("\r\n\r\n");
  slow.send(OK);
  await forwarded;
  expect([await x.text(), x.record.target]).toEqual(["ok", slow.url]);
  await slower.closed();
  const y = gate.exchange();
  const again = gate.forwarder.forward(y);
  await slow.until("GET / HTTP/1.1\r\n");
  await gate.clock.advance(0);
  y.cancel(SluiceError.from(undefined, "client_closed"));
  await failureOf(again);
  expect(gate.retries).toHaveLength(1);
});

test("one that fails beside one that runs is not the answer", async () => {
  using slow = rawUpstream([]);
  using failing = rawUpstream([]);
  await using gate = harness({ u: { urls: [slow.url, failing.url], hedge: HEDGE } });
  const x = gate.exchange();
  const forwarded = gate.forwarder.forward(x);
  await slow.until("\r\n\r\n");
  await gate.clock.advance(100);
  await failing.until("\r\n\r\n");
  failing.cut();
  await failing.closed();
  slow.send(OK);
  await forwarded;
  expect(await x.text()).toBe("ok");
});

test("both fail: the request fails", async () => {
  using slow = rawUpstream([]);
  using other = rawUpstream([]);
  await using gate = harness({ u: { urls: [slow.url, other.url], hedge: HEDGE } });
  const x = gate.exchange();
  const failed = failureOf(gate.forwarder.forward(x));
  await slow.until("\r\n\r\n");
  await gate.clock.advance(100);
  await other.until("\r\n\r\n");
  other.cut();
  slow.cut();
  expect((await failed).reason).toBe("reset");
  expect(gate.inFlight("u")).toBe(0);
});

test("methods that are not listed, and bodies that are not at hand, are not hedged; a body that is, goes twice", async () => {
  for (const [method, hedged] of [
    ["POST", false],
    ["PUT", true],
  ] as const) {
    using slow = rawUpstream([]);
    await using good = await fakeUpstream(async (request) => new Response(await request.text()));
    await using gate = harness({ u: { urls: [slow.url, good.url], hedge: HEDGE } });
    const x = gate.exchange({ method, body: new BytesBody(new TextEncoder().encode("hello")) });
    const forwarded = gate.forwarder.forward(x);
    await slow.until("hello");
    await gate.clock.advance(100);
    if (hedged) {
      await forwarded;
      expect(await x.text()).toBe("hello");
    } else {
      expect(good.requests).toHaveLength(0);
      slow.send(OK);
      await forwarded;
      expect(await x.text()).toBe("ok");
    }
  }
});

test("no more requests are hedged than the share that may be", async () => {
  using slow = rawUpstream([]);
  await using gate = harness({ u: { url: slow.url, hedge: { ...HEDGE, ratio: 0.1 } } });
  for (let i = 0; i < 30; i++) {
    const x = gate.exchange();
    const failed = failureOf(gate.forwarder.forward(x));
    await gate.clock.advance(200);
    x.cancel(SluiceError.from(undefined, "client_closed"));
    await failed;
  }
  const sent = gate.retries.filter(([, , outcome]) => outcome === "sent").length;
  expect(sent).toBeGreaterThanOrEqual(1);
  expect(sent).toBeLessThanOrEqual(3);
  expect(gate.inFlight("u")).toBe(0);
});

test("a hedge that cannot be sent costs nothing and is no failure", async () => {
  using slow = rawUpstream([]);
  const limits = { requests: 1, queue: 0, queueTimeout: 1_000 };
  await using gate = harness({ u: { url: slow.url, hedge: HEDGE, limits } });
  const x = gate.exchange();
  const forwarded = gate.forwarder.forward(x);
  await slow.until("\r\n\r\n");
  await gate.clock.advance(500);
  slow.send(OK);
  await forwarded;
  expect(await x.text()).toBe("ok");
  expect([gate.retries, gate.tries.map(([, , status]) => status)]).toEqual([[], [200]]);
  expect(gate.upstreams.get("u")?.policies.hedges?.retries).toBe(0);
});
