import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import type { Orders } from "./policy-orders.ts";
import { type Kind, KINDS, PolicyWorld } from "./policy-world.ts";

/*
 * Active health checks on the compiled binary with every kind of upstream: HTTP, gRPC and TCP; how long it takes until a
 * target is left out and until it is back, and that it gets nothing meanwhile.
 */

const table = new CaseTable(
  "active health: interval 200ms, timeout 500ms, fall 2, rise 2",
  "upstream",
  "check",
  "the endpoint",
  "out after ms",
  "reason",
  "back after ms",
  "seen meanwhile",
);

let world: PolicyWorld;
beforeAll(async () => {
  const times = "interval: 200ms, timeout: 500ms, fall: 2, rise: 2";
  world = await PolicyWorld.start({
    upstreams: ({ speech }) => {
      const health = `health: { ${speech === "grpc" ? "grpc: true" : "path: /healthz"}, ${times} }`;
      return {
        checked: health,
        panicky: `${health}, panic_threshold: 60%`,
        tcp: `health: { tcp: true, ${times} }`,
      };
    },
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

const eachKind = (run: (kind: Kind) => Promise<void>) => (): Promise<unknown> => Promise.all(KINDS.map(run));

/** Target b goes out and comes back, as its health checks say. */
async function outAndBack(
  kind: Kind,
  name: string,
  [check, what]: readonly [check: string, what: string],
  out: Orders,
  back: Orders,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const row = table.begin(kind.title, check, what);
  const prefix = `${name}-${what.replaceAll(" ", "-")}`;
  const from = world.gateway.lines.length;
  const begun = performance.now();
  await world.order(kind, "b", out);
  const gone = await world.event(kind, name, "unhealthy", from);
  const outAfter = performance.now() - begun;
  expect(gone["target"]).toBe(world.url(kind, "b"));

  const said = await world.calls(kind, name, `${prefix}-out`, 20, 4);
  expect(said.filter(({ good }) => !good)).toEqual([]);
  const seen = world.counts(kind, `${prefix}-out`);
  expect(seen).toEqual({ a: 20, b: 0 });
  const { targets } = await world.upstream(kind, name);
  expect(targets.map(({ status }) => status)).toEqual(["available", "unhealthy"]);
  await meanwhile();

  const healing = performance.now();
  await world.order(kind, "b", back);
  await world.event(kind, name, "healthy", from);
  const backAfter = performance.now() - healing;
  await world.calls(kind, name, `${prefix}-back`, 10, 1);
  expect(world.counts(kind, `${prefix}-back`)).toEqual({ a: 5, b: 5 });
  const times = [outAfter, backAfter].map((ms) => String(Math.round(ms)));
  row.passed(times[0]!, String(gone["reason"]), times[1]!, String(seen["b"]));
}

test(
  "an endpoint that fails, hangs and redirects",
  eachKind(async (kind) => {
    const words = kind.speech === "grpc" ? ["NOT_SERVING", "hangs", "NOT_FOUND"] : ["503", "hangs", "302"];
    const check = kind.speech === "grpc" ? "gRPC" : "HTTP";
    for (const [i, health] of (["failing", "hang", "redirect"] as const).entries()) {
      const from = world.gateway.lines.length;
      await outAndBack(kind, "checked", [check, words[i]!], { health }, { health: "good" }, async () => {
        // One of two is less than panic_threshold: both are asked again.
        await world.event(kind, "panicky", "panic", from);
        expect((await world.upstream(kind, "panicky")).panic).toBe(true);
        await world.calls(kind, "panicky", `panic-${health}`, 10, 1);
        expect(world.counts(kind, `panic-${health}`)).toEqual({ a: 5, b: 5 });
      });
      await world.event(kind, "panicky", "panic_over", from);
    }
  }),
);

test(
  "nobody is healthy: 503 with Retry-After, UNAVAILABLE; in panic all are asked",
  eachKind(async (kind) => {
    const row = table.begin(kind.title, kind.speech === "grpc" ? "gRPC" : "HTTP", "all fail");
    const from = world.gateway.lines.length;
    const begun = performance.now();
    await world.orderAll(kind, { health: "failing" });
    await world.event(kind, "checked", "none_available", from);
    const outAfter = performance.now() - begun;
    for (const { status, reason, retryAfter } of await world.calls(kind, "checked", "nobody", 10, 2)) {
      expect([status, reason]).toEqual(kind.speech === "grpc" ? ["UNAVAILABLE", ""] : ["503", "no_target"]);
      expect(Number(retryAfter)).toBe(1);
    }
    expect(world.seen(kind, "nobody")).toEqual([]);

    await world.event(kind, "panicky", "panic", from);
    const said = await world.calls(kind, "panicky", "anybody", 10, 1);
    expect(said.filter(({ good }) => !good)).toEqual([]);

    const healing = performance.now();
    await world.orderAll(kind, { health: "good" });
    await world.event(kind, "checked", "available", from);
    const times = [outAfter, performance.now() - healing].map((ms) => String(Math.round(ms)));
    expect((await world.call(kind, "checked", "again-0")).good).toBe(true);
    row.passed(times[0]!, "nobody", times[1]!, "0");
  }),
);

test(
  "a port that is closed, by TCP",
  eachKind((kind) => outAndBack(kind, "tcp", ["TCP", "port closed"], { port: "closed" }, { port: "served" })),
);
