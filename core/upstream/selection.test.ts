import { afterEach, describe, expect, test } from "bun:test";
import { SluiceError, type UpstreamEvent } from "sluice/plugin";
import { createFakeClock, createMemoryLog, createSeededRandom } from "sluice/testing";
import type { HealthConfig, OutlierConfig, UpstreamConfig } from "../../config/types.ts";
import { createKeep, type KeepScope } from "../services/keep.ts";
import { createUpstreams, type Target, UpstreamEvents, type UpstreamSet } from "./index.ts";
import { targetOf, upstreamConfig } from "./test-kit.ts";

/* Who may be asked: health, ejection, draining, priorities, panic, and what of that outlives a reload. */

const OUTLIER: OutlierConfig = {
  consecutiveFailures: 3,
  on: ["connect", "reset", "timeout", "5xx"],
  baseEjection: 30_000,
  maxEjection: 300_000,
  maxEjected: 0.5,
};

const HEALTH: HealthConfig = {
  ...{ kind: "http", path: "/", method: "GET", host: undefined, headers: [], statuses: [[200, 299]] },
  ...{ body: undefined, service: "", interval: 5_000, timeout: 1_000, fall: 3, rise: 2 },
};

const scopes: KeepScope[] = [];
afterEach(async () => {
  for (const scope of scopes.splice(0)) await scope.release(() => {});
});

function world() {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const random = createSeededRandom(7);
  const keep = createKeep();
  const upstreamEvents = new UpstreamEvents(log);
  const events: UpstreamEvent[] = [];
  upstreamEvents.on((event) => void events.push(event));
  let current: UpstreamSet | undefined;
  return {
    clock,
    log,
    /** What was told, as `kind target`. */
    get told() {
      return events.map(({ kind, target }) => (target === undefined ? kind : `${kind} ${target.slice(-1)}`));
    },
    events,
    /** A configuration that takes the place of the one before. */
    reload(fields: Partial<UpstreamConfig>) {
      const scope = keep.scope();
      const before = scopes.splice(0);
      const set = createUpstreams([upstreamConfig(fields)], {
        ...{ clock, random, log, upstreamEvents },
        keep: (key, create, close) => scope.keep(key, create, close),
      });
      set.activate(current);
      current = set;
      scopes.push(scope);
      for (const one of before) void one.release(() => {});
      const upstream = set.get("test")!;
      return { set, upstream, view: upstream.view };
    },
  };
}

const at = (port: number, priority = 0, weight = 1) => ({ ...targetOf({ port }), priority, weight });
const three = [at(1), at(2), at(3)];

/** The ports that so many requests go to, sorted, each once. */
function asked(upstream: { pick(): Target | undefined }, times = 30): number[] {
  const ports = Array.from({ length: times }, () => upstream.pick()?.config.port ?? 0);
  return [...new Set(ports)].sort((a, b) => a - b);
}

function refusal(run: () => unknown): SluiceError {
  try {
    run();
  } catch (error) {
    if (error instanceof SluiceError) return error;
  }
  throw new Error("nothing was refused");
}

const targetNamed = (upstream: { targets: readonly Target[] }, port: number): Target =>
  upstream.targets.find((target) => target.config.port === port)!;

describe("who may be asked", () => {
  test("an unhealthy target is left out until it is healthy again, and each change is told once", () => {
    const { reload, log } = world();
    const { upstream, view } = reload({ targets: three });
    const { state } = targetNamed(upstream, 2);
    state.setHealth(false, "status 503");
    state.setHealth(false, "status 503");
    expect(asked(upstream)).toEqual([1, 3]);
    expect(view.targets[1]).toMatchObject({ status: "unhealthy", reason: "status 503", available: false });
    state.setHealth(true, "status 200");
    expect(asked(upstream)).toEqual([1, 2, 3]);
    expect(log.lines.map(({ level, fields }) => [level, fields["event"], fields["reason"]])).toEqual([
      ["warn", "unhealthy", "status 503"],
      ["info", "healthy", "status 200"],
    ]);
  });

  test("nobody fit: 503 with Retry-After, and it is told when somebody is again", () => {
    const it = world();
    const { upstream } = it.reload({ targets: [at(1), at(2)] });
    for (const { state } of upstream.targets) state.setHealth(false, "timeout");
    const { code, reason, headers } = refusal(() => upstream.pick());
    expect([code, reason, headers]).toEqual(["unavailable", "no_target", [["retry-after", "1"]]]);
    targetNamed(upstream, 1).state.setHealth(true, "ok");
    expect(asked(upstream)).toEqual([1]);
    expect(it.told).toEqual(["unhealthy 1", "unhealthy 2", "none_available", "healthy 1", "available"]);
  });

  test("Retry-After says when the next health check is", () => {
    const { reload } = world();
    const { upstream } = reload({ targets: [at(1), at(2)], health: { ...HEALTH, interval: 12_300 } });
    for (const { state } of upstream.targets) state.setHealth(false, "x");
    expect(refusal(() => upstream.pick()).headers).toEqual([["retry-after", "13"]]);
  });

  test("who was ejected is asked before nobody is, and before who cannot be connected to", () => {
    const { reload } = world();
    const { upstream } = reload({ targets: three });
    targetNamed(upstream, 1).state.eject(40_000, "status 503");
    targetNamed(upstream, 2).state.setHealth(false, "timeout");
    expect(asked(upstream)).toEqual([3]);
    upstream.failed(targetNamed(upstream, 3), "connect");
    expect(asked(upstream)).toEqual([1]);
    targetNamed(upstream, 1).state.setHealth(false, "timeout");
    expect(asked(upstream)).toEqual([3]);
  });

  test("below the panic threshold all are asked, at it they are not", () => {
    const it = world();
    const { upstream, view } = it.reload({ targets: [...three, at(4)], panicThreshold: 0.5 });
    const fail = (port: number) => targetNamed(upstream, port).state.setHealth(false, "x");
    fail(1);
    fail(2);
    expect(asked(upstream)).toEqual([3, 4]);
    fail(3);
    expect([asked(upstream), view.panic]).toEqual([[1, 2, 3, 4], true]);
    fail(4);
    expect(asked(upstream)).toEqual([1, 2, 3, 4]);
    targetNamed(upstream, 1).state.setHealth(true, "x");
    targetNamed(upstream, 2).state.setHealth(true, "x");
    expect([asked(upstream), view.panic]).toEqual([[1, 2], false]);
    expect(it.told.filter((one) => one.startsWith("panic"))).toEqual(["panic", "panic_over"]);
  });

  test("a drained target is asked by nobody, in panic neither, and after a reload neither", () => {
    const it = world();
    const config = { targets: three, panicThreshold: 1 };
    const { set } = it.reload(config);
    expect(set.drain("test", "http://127.0.0.1:2", true)).toMatchObject({ status: "draining" });
    expect(set.drain("test", "http://127.0.0.1:9", true)).toBeUndefined();
    expect(set.drain("none", "http://127.0.0.1:2", true)).toBeUndefined();
    const { upstream } = it.reload(config);
    expect(asked(upstream)).toEqual([1, 3]);
    // Out of the configuration, and in again.
    it.reload({ targets: [at(1)] });
    const later = it.reload(config);
    expect(asked(later.upstream)).toEqual([1, 3]);
    expect(later.set.drain("test", "127.0.0.1:2", false)).toMatchObject({ status: "available" });
    expect(asked(later.upstream)).toEqual([1, 2, 3]);
  });

  test("targets of a higher number are asked only while none of a lower one may be", () => {
    const { reload } = world();
    const { upstream } = reload({ targets: [at(1), at(2), at(3, 1), at(4, 2)] });
    expect(asked(upstream)).toEqual([1, 2]);
    targetNamed(upstream, 1).state.setHealth(false, "x");
    expect(asked(upstream)).toEqual([2]);
    targetNamed(upstream, 2).state.eject(1_000, "x");
    expect(asked(upstream)).toEqual([3]);
    targetNamed(upstream, 3).state.drain(true, "x");
    expect(asked(upstream)).toEqual([4]);
  });

  test("panic comes after the spares: only where nobody's share is enough are the unfit asked", () => {
    const { reload } = world();
    const first = [at(1), at(2), at(3), at(4)];
    const { upstream, view } = reload({ targets: [...first, at(5, 1), at(6, 1)], panicThreshold: 0.5 });
    for (const port of [1, 2, 3]) targetNamed(upstream, port).state.setHealth(false, "x");
    expect([asked(upstream), view.panic]).toEqual([[5, 6], false]);
    targetNamed(upstream, 5).state.setHealth(false, "x");
    expect(asked(upstream)).toEqual([6]);
    targetNamed(upstream, 6).state.setHealth(false, "x");
    expect([asked(upstream), view.panic]).toEqual([[1, 2, 3, 4], true]);
  });

  test("among many targets changes are gathered, and nobody is asked meanwhile who has dropped out", async () => {
    const it = world();
    const many = Array.from({ length: 200 }, (_, i) => at(i + 1));
    const { upstream } = it.reload({ targets: many });
    for (const { state, config } of upstream.targets) if (config.port > 3) state.setHealth(false, "x");
    expect(asked(upstream, 100)).toEqual([1, 2, 3]);
    targetNamed(upstream, 7).state.setHealth(true, "x");
    await it.clock.advance(20);
    expect(asked(upstream, 100)).toEqual([1, 2, 3, 7]);
    for (const { state } of upstream.targets) state.setHealth(false, "x");
    expect(refusal(() => upstream.pick()).reason).toBe("no_target");
    expect(it.told.filter((one) => one.includes("available"))).toEqual(["none_available"]);
  });

  test("what an upstream is like from its beginning is told as well", () => {
    const it = world();
    const config = { targets: three, panicThreshold: 0.9 };
    const { upstream } = it.reload({ targets: three, health: HEALTH });
    targetNamed(upstream, 1).state.setHealth(false, "x");
    expect(it.told).toEqual(["unhealthy 1"]);
    it.reload({ ...config, health: HEALTH });
    expect(it.told).toEqual(["unhealthy 1", "panic"]);
  });

  test("a target asked already is asked again only where there is nobody else", () => {
    const { reload } = world();
    const { upstream } = reload({ targets: [at(1), at(2)] });
    const [first, second] = upstream.targets as [Target, Target];
    for (let i = 0; i < 10; i++) {
      expect(upstream.pick(undefined, [first])).toBe(second);
      expect(upstream.pick(undefined, [first, second])).toBeDefined();
    }
  });

  test("with a limit, a full target is passed over, and all full is nobody", () => {
    const { reload } = world();
    const { upstream } = reload({
      targets: [at(1), at(2)],
      limits: { requests: 2, queue: 0, queueTimeout: 1 },
    });
    const [first, second] = upstream.targets as [Target, Target];
    first.acquire();
    first.acquire();
    expect(asked(upstream)).toEqual([2]);
    second.acquire();
    second.acquire();
    expect(upstream.pick()).toBeUndefined();
    first.release();
    expect(asked(upstream)).toEqual([1]);
  });
});

describe("a target that cannot be connected to", () => {
  test("is avoided while others can be, and probed until it stands", async () => {
    const it = world();
    const { upstream } = it.reload({ targets: [at(1), at(2)] });
    const first = targetNamed(upstream, 1);
    // Nobody listens on port 1: each probe fails, and the next comes twice as late.
    upstream.failed(first, "connect");
    upstream.failed(first, "connect");
    expect(asked(upstream)).toEqual([2]);
    await it.clock.advance(60_000);
    expect(asked(upstream)).toEqual([2]);
    expect(first).toMatchObject({ status: "unreachable", reason: "connect", failures: 2 });
    upstream.failed(targetNamed(upstream, 2), "timeout.connect");
    // Where there is nobody else, it is asked.
    expect(asked(upstream)).toEqual([1, 2]);
    first.state.reached();
    expect(asked(upstream)).toEqual([1]);
    expect(it.told).toEqual(["unreachable 1", "unreachable 2", "reachable 1"]);
  });

  test("is asked again as soon as a probe connects", async () => {
    const it = world();
    using server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { upstream } = it.reload({ targets: [at(server.port), at(2)] });
    upstream.failed(targetNamed(upstream, server.port), "connect");
    expect(asked(upstream)).toEqual([2]);
    await it.clock.advance(250);
    const reached = Promise.withResolvers<void>();
    if (!it.told.includes(`reachable ${String(server.port).slice(-1)}`))
      targetNamed(upstream, server.port).state.watch({ targetChanged: () => reached.resolve() });
    else reached.resolve();
    await reached.promise;
    expect(asked(upstream)).toContain(server.port);
  });

  test("is asked again once a health check gets through", async () => {
    const it = world();
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("ok") });
    const { upstream } = it.reload({ targets: [at(server.port!), at(2)], health: HEALTH });
    const target = targetNamed(upstream, server.port!);
    // Failures in a row have put the next probe far away.
    for (let i = 0; i < 8; i++) {
      upstream.failed(target, "tls");
      target.state.checked();
    }
    upstream.failed(target, "tls");
    expect(target.status).toBe("unreachable");
    while (target.status === "unreachable") await it.clock.advance(100);
    expect(it.events.at(-1)).toMatchObject({ kind: "reachable", reason: "health check" });
  });

  test("those of the next priority are asked while all of the first cannot be", () => {
    const { reload } = world();
    const { upstream } = reload({ targets: [at(1), at(2), at(3, 1)] });
    upstream.failed(targetNamed(upstream, 1), "connect");
    expect(asked(upstream)).toEqual([2]);
    upstream.failed(targetNamed(upstream, 2), "connect");
    expect(asked(upstream)).toEqual([3]);
    upstream.failed(targetNamed(upstream, 3), "connect");
    expect(asked(upstream)).toEqual([1, 2]);
  });

  test("a reset of a request is no reason", () => {
    const { reload } = world();
    const { upstream } = reload({ targets: [at(1), at(2)] });
    upstream.failed(targetNamed(upstream, 1), "reset");
    expect(asked(upstream)).toEqual([1, 2]);
  });
});

describe("ejection", () => {
  test("after failures in a row, for a time that grows, and within slow start it comes back", async () => {
    const it = world();
    const { upstream } = it.reload({ targets: three, outlier: OUTLIER, slowStart: 10_000 });
    const first = targetNamed(upstream, 1);
    for (let i = 0; i < 3; i++) upstream.answered(first, 503);
    expect(asked(upstream)).toEqual([2, 3]);
    await it.clock.advance(29_999);
    expect(first.status).toBe("ejected");
    await it.clock.advance(1);
    expect([first.status, asked(upstream, 300)]).toEqual(["slow_start", [1, 2, 3]]);
    for (let i = 0; i < 3; i++) upstream.answered(first, 503);
    await it.clock.advance(59_999);
    expect(first).toMatchObject({ status: "ejected", ejections: 2 });
    await it.clock.advance(1);
    expect(first.status).toBe("slow_start");
    await it.clock.advance(10_000);
    expect(first.status).toBe("available");
  });
});

test("with a panic threshold, who is fit is asked among the ejected, and who cannot be connected to is not", () => {
  const { reload } = world();
  const { upstream, view } = reload({ targets: [...three, at(4)], panicThreshold: 0.5 });
  for (const port of [1, 2, 3]) targetNamed(upstream, port).state.eject(30_000, "status 503");
  expect([asked(upstream), view.panic]).toEqual([[1, 2, 3, 4], true]);
  upstream.failed(targetNamed(upstream, 1), "connect");
  expect(asked(upstream)).toEqual([2, 3, 4]);

  // One of two is enough here, and it is the other one that is there.
  const pair = world().reload({ targets: [at(1), at(2)], panicThreshold: 0.5 });
  targetNamed(pair.upstream, 1).state.eject(30_000, "status 503");
  pair.upstream.failed(targetNamed(pair.upstream, 2), "connect");
  expect([asked(pair.upstream), pair.view.panic]).toEqual([[1], false]);
});

test("who was ejected for not being there is back once a health check gets through; for bad answers it is not", () => {
  const { reload } = world();
  const { upstream } = reload({ targets: three });
  for (const [port, reason, expected] of [
    [1, "connect", "available"],
    [2, "reset", "available"],
    [3, "status 503", "ejected"],
  ] as const) {
    const target = targetNamed(upstream, port);
    target.state.eject(30_000, reason);
    target.state.checked();
    expect([reason, target.status]).toEqual([reason, expected]);
  }
});

describe("across a reload", () => {
  test("health, ejection, latency and counts stay; other settings of the pool change nothing in that", () => {
    const it = world();
    const { upstream } = it.reload({ targets: three });
    targetNamed(upstream, 1).state.setHealth(false, "timeout");
    targetNamed(upstream, 2).state.eject(30_000, "reset");
    upstream.answered(targetNamed(upstream, 3), 200);
    const pool = { maxConnections: 3, idleTimeout: 1_000, maxAge: undefined, maxPending: 3 };
    const after = it.reload({ targets: three, pool, health: HEALTH });
    expect(after.view.targets.map(({ status }) => status)).toEqual(["unhealthy", "ejected", "available"]);
    expect(after.view.targets[2]!.answers).toBe(1);
    expect(asked(after.upstream)).toEqual([3]);
  });

  test("who is no longer checked is healthy", () => {
    const it = world();
    const { upstream } = it.reload({ targets: three });
    targetNamed(upstream, 1).state.setHealth(false, "timeout");
    const { upstream: after } = it.reload({ targets: three });
    expect(asked(after)).toEqual([1, 2, 3]);
  });

  test("one that is gone is forgotten", async () => {
    const it = world();
    const { upstream } = it.reload({ targets: three });
    targetNamed(upstream, 1).state.eject(30_000, "reset");
    it.reload({ targets: [at(2)] });
    await it.clock.advance(0);
    const { upstream: after } = it.reload({ targets: three });
    expect(asked(after)).toEqual([1, 2, 3]);
  });
});
