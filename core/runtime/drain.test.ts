import { describe, expect, test } from "bun:test";
import { definePlugin, type PluginInstance } from "sluice/plugin";
import { createFakeClock, fakeUpstream, type FakeUpstream } from "sluice/testing";
import { z } from "zod";
import { failure } from "../listener/test-listener.ts";
import { ReadinessWatch } from "./drain.ts";
import { type TestRuntime, testRuntime, yamlOf } from "./test-runtime.ts";

/* How a gateway leaves. */

const IDLE = yamlOf("shutdown_timeout: 10s\nroutes: [{ respond: { status: 204 } }]\n");

interface Slow extends AsyncDisposable {
  readonly gateway: TestRuntime;
  readonly upstream: FakeUpstream;
  /** Lets the upstream finish. */
  finish(): void;
}

/** A gateway in front of an upstream that does not answer, or not to the end (`/stream`), until the test says so. */
async function slowGateway(): Promise<Slow> {
  const gate = Promise.withResolvers<void>();
  const upstream = await fakeUpstream(async (request) => {
    if (!request.url.endsWith("/stream")) {
      await gate.promise;
      return new Response("whole");
    }
    return new Response(
      new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(Buffer.from("first"));
          await gate.promise;
          controller.enqueue(Buffer.from("last"));
          controller.close();
        },
      }),
    );
  });
  const gateway = await testRuntime(
    yamlOf(
      `shutdown_timeout: 10s\nupstreams: { app: { targets: ["${upstream.url}"] } }\nroutes: [{ upstream: app }]\n`,
    ),
  );
  return {
    ...{ gateway, upstream },
    finish: () => gate.resolve(),
    async [Symbol.asyncDispose]() {
      gate.resolve();
      await gateway[Symbol.asyncDispose]();
      await upstream.close();
    },
  };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: h\r\n\r\n`;
const isRefused = (gateway: TestRuntime): Promise<boolean> =>
  gateway.connect(gateway.address()).then(
    (client) => {
      client.reset();
      return false;
    },
    () => true,
  );

test("with nothing under way it leaves at once: idle connections end soon, ports are free, steps are told", async () => {
  await using gateway = await testRuntime(IDLE);
  const idle = await gateway.connect(gateway.address(), get("/"));
  await idle.until("HTTP/1.1 204 ");
  const before = gateway.clock.monotonic();
  expect(await gateway.during(gateway.runtime.shutdown())).toBe(0);
  expect(gateway.clock.monotonic() - before).toBeLessThan(1_500);
  await idle.ended();
  expect(await isRefused(gateway)).toBe(true);
  expect(await failure(gateway.ask("/healthz"))).not.toBe("");
  expect(gateway.lines.map((line) => line["msg"]).slice(-2)).toEqual(["draining", "stopped"]);
});

test("readiness fails first; ports close once a checker has seen it, and running requests finish", async () => {
  await using slow = await slowGateway();
  const { gateway } = slow;
  for (let check = 0; check < 2; check++) expect((await gateway.fetch("/ready")).status).toBe(200);
  const running = await gateway.connect(gateway.address(), get("/whole"));
  await slow.upstream.received(1);
  const stopping = gateway.runtime.shutdown();
  // A load balancer that has not understood yet still sends requests, which are served.
  for (let check = 0; check < 6; check++) {
    expect((await gateway.fetch("/ready")).status).toBe(503);
    expect((await gateway.fetch("/live")).status).toBe(200);
    await gateway.clock.advance(500);
  }
  await gateway.clock.advance(300);
  expect(await isRefused(gateway)).toBe(true);
  slow.finish();
  await running.until("whole");
  expect(running.received.toLowerCase()).toContain("connection: close");
  expect(await gateway.during(stopping)).toBe(0);
});

describe("a load balancer that checks readiness is waited for", () => {
  const each = (watch: ReadinessWatch, times: number, ...checkers: string[]): void => {
    for (let i = 0; i < times; i++) for (const checker of checkers) watch.asked(checker);
  };
  const A = "192.0.2.1";
  const B = "192.0.2.2";

  test("until all of them have understood, whoever else asks", async () => {
    const clock = createFakeClock();
    const watch = new ReadinessWatch(clock, () => 0);
    each(watch, 2, A, B);
    expect(watch.leave()).toBe(true);
    each(watch, 6, A, "198.51.100.1");
    await clock.advance(1_000);
    expect(watch.understood).toBe(false);
    each(watch, 6, B);
    await clock.advance(1_000);
    expect(watch.understood).toBe(true);
  });

  test("but not who leaves meanwhile", async () => {
    const clock = createFakeClock();
    const watch = new ReadinessWatch(clock, () => 0);
    watch.asked(A);
    await clock.advance(1_000);
    watch.asked(A);
    expect(watch.leave()).toBe(true);
    await clock.advance(2_900);
    expect(watch.understood).toBe(false);
    await clock.advance(400);
    expect(watch.understood).toBe(true);
  });

  test("nor who asks for two things at a time, and rarely", async () => {
    const clock = createFakeClock();
    const watch = new ReadinessWatch(clock, () => 0);
    for (let round = 0; round < 3; round++) {
      watch.asked(A);
      await clock.advance(3_000);
      watch.asked(A);
      await clock.advance(7_000);
    }
    expect(watch.leave()).toBe(false);
  });

  test("but not who asks rarely, has gone, or has asked once", async () => {
    const clock = createFakeClock();
    const watch = new ReadinessWatch(clock, () => 0);
    each(watch, 2, "192.0.2.3");
    watch.asked("192.0.2.4");
    await clock.advance(30_000);
    watch.asked("192.0.2.4");
    watch.asked("192.0.2.5");
    expect(watch.leave()).toBe(false);
  });

  test("and as long as it sends requests", async () => {
    const clock = createFakeClock();
    let begun = 0;
    const watch = new ReadinessWatch(clock, () => begun);
    each(watch, 2, A);
    watch.leave();
    each(watch, 6, A);
    for (let i = 0; i < 5; i++) {
      begun++;
      await clock.advance(200);
      expect(watch.understood).toBe(false);
    }
    await clock.advance(300);
    expect(watch.understood).toBe(true);
  });
});

test("a checker that has gone silent is soon forgotten; one that never was costs nothing", async () => {
  await using slow = await slowGateway();
  const { gateway } = slow;
  for (let check = 0; check < 2; check++) await gateway.fetch("/ready");
  const running = await gateway.connect(gateway.address(), get("/whole"));
  await slow.upstream.received(1);
  const stopping = gateway.runtime.shutdown();
  await gateway.clock.advance(1_400);
  expect(await isRefused(gateway)).toBe(false);
  await gateway.clock.advance(600);
  expect(await isRefused(gateway)).toBe(true);
  slow.finish();
  await running.until("whole");
  expect(await gateway.during(stopping)).toBe(0);

  await using other = await slowGateway();
  const client = await other.gateway.connect(other.gateway.address(), get("/whole"));
  await other.upstream.received(1);
  const leaving = other.gateway.runtime.shutdown();
  await other.gateway.clock.advance(0);
  expect(await isRefused(other.gateway)).toBe(true);
  other.finish();
  await client.until("whole");
  expect(await other.gateway.during(leaving)).toBe(0);
});

test("after the grace what remains is cut, counted, and told to client and log", async () => {
  await using slow = await slowGateway();
  const { gateway } = slow;
  const stream = await gateway.connect(gateway.address(), get("/stream"));
  await stream.until("first");
  const waiting = await gateway.connect(gateway.address(), get("/whole"));
  await slow.upstream.received(2);
  const stopping = gateway.runtime.shutdown();
  await gateway.clock.advance(9_900);
  expect([stream.end, waiting.end]).toEqual([undefined, undefined]);
  expect(await gateway.during(stopping)).toBe(2);
  // Who has no answer yet gets one; a begun answer breaks off and never looks whole.
  const refused = await waiting.ended();
  expect(refused).toStartWith("HTTP/1.1 503 ");
  expect(refused).toContain('"code":"draining"');
  expect(await stream.ended()).not.toContain("0\r\n\r\n");
  expect(
    gateway.requests.map(({ status, complete, failed, reason }) => [status, complete, failed, reason]),
  ).toEqual(
    expect.arrayContaining([
      [503, undefined, "gateway", "shutdown"],
      [200, false, "gateway", "shutdown"],
    ]),
  );
  expect(gateway.lines.at(-1)).toMatchObject({ msg: "stopped", cut: 2 });
});

test("a second signal ends the grace at once", async () => {
  await using slow = await slowGateway();
  const { gateway } = slow;
  await gateway.fetch("/ready");
  const client = await gateway.connect(gateway.address(), get("/stream"));
  await client.until("first");
  const before = gateway.clock.monotonic();
  const stopping = gateway.runtime.shutdown();
  await gateway.clock.advance(100);
  gateway.runtime.cutNow();
  expect(await gateway.during(stopping)).toBe(1);
  expect(gateway.clock.monotonic() - before).toBeLessThan(1_500);
  expect(await client.ended()).not.toContain("last");
});

test("stopping twice is stopping once", async () => {
  await using gateway = await testRuntime(IDLE);
  const both = await gateway.during(Promise.all([gateway.runtime.shutdown(), gateway.runtime.shutdown()]));
  expect(both).toEqual([0, 0]);
  expect(gateway.lines.filter((line) => line["msg"] === "draining")).toHaveLength(1);
});

test("no reload begins once it drains, and one that is under way opens nothing any more", async () => {
  const setup = Promise.withResolvers<PluginInstance>();
  const begun = Promise.withResolvers<void>();
  let closed = 0;
  const slow = definePlugin({
    ...{ apiVersion: 1, name: "slow", description: "Is set up when the test says so." },
    schema: z.strictObject({}),
    setup() {
      begun.resolve();
      return setup.promise;
    },
  });
  await using gateway = await testRuntime(IDLE, { plugins: [slow] });
  const next = IDLE.replace("listeners: [", 'listeners: [{ address: "unix:./next.sock" }, ').replace(
    "[{ respond",
    "[{ pipeline: [slow], respond",
  );
  const reload = gateway.reload(next);
  await begun.promise;
  const stopping = gateway.runtime.shutdown();
  expect(await gateway.during(stopping)).toBe(0);
  setup.resolve({ handle: (_, go) => go(), close: () => void closed++ });
  expect(await reload).toMatchObject({
    ok: false,
    errors: [expect.stringContaining("when the gateway was stopped")],
  });
  await gateway.clock.advance(0);
  expect(closed).toBe(1);
  expect(await failure(fetch("http://localhost/", { unix: `${gateway.dir}/next.sock` }))).not.toBe("");
  expect(await gateway.runtime.reload("test")).toMatchObject({
    ok: false,
    errors: ["the gateway is not running"],
  });
});

test("a step whose close hangs does not keep the process", async () => {
  const hangs = definePlugin({
    ...{ apiVersion: 1, name: "hangs", description: "Never closes." },
    schema: z.strictObject({}),
    setup: () => ({ handle: (_, next) => next(), close: () => new Promise<void>(() => undefined) }),
  });
  const yaml = IDLE.replace("[{ respond", "[{ pipeline: [hangs], respond");
  await using gateway = await testRuntime(yaml, { plugins: [hangs] });
  const before = gateway.clock.monotonic();
  expect(await gateway.during(gateway.runtime.shutdown())).toBe(0);
  expect(gateway.clock.monotonic() - before).toBeLessThan(6_000);
});
