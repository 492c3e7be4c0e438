import { describe, expect, test } from "bun:test";
import { createFakeClock, createSeededRandom } from "sluice/testing";
import { answering, http1, OK, peer, targetOf, until } from "../test-kit.ts";
import { startHealthCheck } from "./health-check.ts";
import { healthConfig, watch } from "./test-watch.ts";

/* When checks run and what they make of one after the other. */

const GOOD = OK;
const BAD = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

describe("fall and rise", () => {
  test("the verdict changes after so many in a row, and is told once", async () => {
    using target = answering(GOOD, BAD, BAD, GOOD, BAD, BAD, BAD, BAD, GOOD, BAD, GOOD, GOOD, GOOD);
    using health = watch({ port: target.port });
    const changes: [number, string[]][] = [];
    for (let i = 1; i <= 13; i++) {
      await health.next();
      if (health.changes.length > changes.length) changes.push([i, [...health.changes]]);
    }
    expect(changes).toEqual([
      [7, ["false status 503"]],
      [12, ["false status 503", "true status 200"]],
    ]);
    expect(health.check.last).toEqual({ healthy: true, reason: "status 200" });
  });

  test("a target that is known to be unhealthy counts from there", async () => {
    using target = answering(BAD, GOOD);
    using health = watch({ port: target.port, healthy: false, config: { rise: 1, fall: 1 } });
    expect(health.check.last).toBeUndefined();
    await health.next();
    expect(health.changes).toEqual([]);
    await health.next();
    expect(health.changes).toEqual(["true status 200"]);
  });
});

describe("time", () => {
  test("a thousand targets are spread over the first interval and drift apart from there", async () => {
    using target = answering(GOOD);
    const clock = createFakeClock();
    const random = createSeededRandom(7);
    const start = clock.monotonic();
    // What is asked needs no answer to show when it was asked.
    const config = healthConfig({ interval: 10_000, timeout: 1_000 });
    const firsts: number[] = [];
    const periods: number[] = [];
    const checks = Array.from({ length: 1_000 }, () => {
      let last = 0;
      return startHealthCheck({
        target: targetOf({ port: target.port }),
        config,
        open: () => ({
          request: () => {
            const now = clock.monotonic() - start;
            if (last === 0) firsts.push(now);
            else periods.push(now - last);
            last = now;
            return Promise.reject(new Error("nobody"));
          },
          connections: { open: 0, idle: 0 },
          close() {},
        }),
        clock,
        random,
        healthy: true,
        changed() {},
      });
    });
    expect(clock.pending).toBe(1_000);
    await clock.advance(30_000);
    for (const check of checks) check.close();
    expect(clock.pending).toBe(0);
    expect(firsts).toHaveLength(1_000);
    const perSecond = Array.from(
      { length: 10 },
      (_, i) => firsts.filter((at) => Math.floor(at / 1_000) === i).length,
    );
    for (const count of perSecond) expect(Math.abs(count - 100)).toBeLessThan(40);
    expect(Math.min(...periods)).toBeGreaterThanOrEqual(9_000);
    expect(Math.max(...periods)).toBeLessThanOrEqual(11_000);
    expect(Math.min(...periods)).toBeLessThan(9_100);
    expect(Math.max(...periods)).toBeGreaterThan(10_900);
  });

  test("from start to start: what a check took does not put off the next", async () => {
    using target = peer();
    using health = watch({ port: target.port, config: { interval: 5_000, timeout: 2_000 } });
    await health.begin();
    await (await target.connection(0)).until("\r\n\r\n");
    await health.clock.advance(1_500);
    target.connections[0]!.write(OK);
    expect(await health.verdict()).toBe("true status 200");
    await health.clock.advance(3_499);
    expect(target.connections[0]!.received.split("GET ").length).toBe(2);
    await health.clock.advance(1);
    await until(() => target.connections[0]!.received.split("GET ").length === 3);
    expect(health.took).toEqual([1_500]);
  });

  test("one at a time: a check that takes longer than the interval puts off the next until it ends", async () => {
    using target = peer();
    using health = watch({ port: target.port, config: { interval: 1_000, timeout: 3_000 } });
    await health.begin();
    await (await target.connection(0)).until("\r\n\r\n");
    await health.clock.advance(2_999);
    expect(target.connections).toHaveLength(1);
    expect(health.took).toEqual([]);
    await health.clock.advance(1);
    expect(await health.verdict()).toBe("false timeout");
    // At once, on a connection of its own.
    await health.clock.advance(1);
    await (await target.connection(1)).until("\r\n\r\n");
    expect(health.took).toEqual([3_000]);
    target.connections[1]!.write(OK);
    await until(() => health.took.length === 2);
    expect(health.check.last).toEqual({ healthy: true, reason: "status 200" });
  });
});

describe("close", () => {
  test("between two checks: nothing is asked any more, and the connection goes", async () => {
    using target = answering(GOOD);
    const health = watch({ port: target.port });
    await health.next();
    expect(health.transports[0]!.connections.idle).toBe(1);
    health.check.close();
    health.check.close();
    await target.connections[0]!.over;
    await health.clock.advance(60_000);
    expect(health.clock.pending).toBe(0);
    expect(health.took).toHaveLength(1);
  });

  test.each([
    ["HTTP/1.1", false],
    ["HTTP/2", true],
  ])("in the middle of a check, over %s: it ends unheard", async (_protocol, overHttp2) => {
    using target = peer();
    const health = watch({ port: target.port, http2: overHttp2, config: { fall: 1 } });
    await health.begin();
    await (await target.connection(0)).until("\r\n\r\n");
    health.check.close();
    // HTTP/2 waits for SETTINGS that never come, and lets go when connecting has taken too long.
    await health.clock.advance(10_000);
    await target.connections[0]!.over;
    expect([health.took, health.changes, health.check.last]).toEqual([[], [], undefined]);
    expect(health.clock.pending).toBe(0);
  });

  test("from within its own callbacks", async () => {
    using target = answering(BAD);
    const clock = createFakeClock();
    const done = Promise.withResolvers<void>();
    const check = startHealthCheck({
      target: targetOf({ port: target.port }),
      config: healthConfig({ fall: 1 }),
      open: () => http1({ port: target.port, clock }),
      clock,
      random: { next: () => 0 },
      healthy: true,
      changed() {
        check.close();
        done.resolve();
      },
    });
    await clock.advance(0);
    await done.promise;
    await target.connections[0]!.over;
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
    expect(target.connections).toHaveLength(1);
  });
});
