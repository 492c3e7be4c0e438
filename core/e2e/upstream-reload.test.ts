import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import { type Kind, KINDS, PolicyWorld } from "./policy-world.ts";

/*
 * What outlives a reload, on the compiled binary with every kind of upstream: targets that are ejected, unhealthy or
 * drained stay out, an open circuit stays open. And draining a target by the admin API.
 */

const table = new CaseTable("target b", "upstream", "is", "seen before the reload", "after it", "then");

let world: PolicyWorld;
beforeAll(async () => {
  world = await PolicyWorld.start({
    upstreams: ({ speech }) => {
      const on = `on: [${speech === "grpc" ? "unavailable" : "5xx"}]`;
      const check = speech === "grpc" ? "grpc: true" : "path: /healthz";
      return {
        ejected: `outlier: { consecutive_failures: 3, ${on}, base_ejection: 1m }`,
        unhealthy: `health: { ${check}, interval: 200ms, fall: 2, rise: 2 }`,
        draining: "",
        open: "circuit_breaker: { consecutive_failures: 3, open_for: 1m }",
      };
    },
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

const eachKind = (run: (kind: Kind) => Promise<unknown>): Promise<unknown> => Promise.all(KINDS.map(run));

const OUT = ["ejected", "unhealthy", "draining"] as const;

/** How many of 10 requests b gets of an upstream; all must succeed. */
async function share(kind: Kind, name: string, when: string): Promise<number> {
  const prefix = `${name}-${when}`;
  const said = await world.calls(kind, name, prefix, 10, 2);
  expect(said.filter(({ good }) => !good)).toEqual([]);
  return world.counts(kind, prefix)["b"]!;
}

async function statusOf(kind: Kind, name: string): Promise<string | undefined> {
  const { targets } = await world.upstream(kind, name);
  return targets.find(({ url }) => url === world.url(kind, "b"))?.status;
}

function drain(kind: Kind, method: "POST" | "DELETE"): Promise<Response> {
  const target = encodeURIComponent(world.url(kind, "b"));
  return world.admin(`/upstreams/${kind.speech}-draining/targets/${target}/drain`, method);
}

test("draining: what is under way ends, and nothing new comes", () =>
  eachKind(async (kind) => {
    await world.orderAll(kind, { answer: "hold" });
    const running = world.calls(kind, "draining", "running", 2, 2);
    await Promise.all([world.order(kind, "a", {}, 1), world.order(kind, "b", {}, 1)]);
    const answer = await drain(kind, "POST");
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      url: world.url(kind, "b"),
      status: "draining",
      in_flight: 1,
    });
    await world.orderAll(kind, { answer: "good" });
    expect((await running).map(({ good }) => good)).toEqual([true, true]);
    expect(await share(kind, "draining", "drained")).toBe(0);

    expect((await drain(kind, "DELETE")).status).toBe(200);
    expect(await share(kind, "draining", "undrained")).toBe(5);
    expect(world.events(kind, "draining")).toEqual(["draining", "undrained"]);
  }));

test("a reload", async () => {
  const rows = new Map<string, { readonly row: ReturnType<typeof table.begin>; readonly before: number }>();
  await eachKind(async (kind) => {
    await world.order(kind, "b", { answer: "fail" });
    await world.calls(kind, "ejected", "ejecting", 6, 1);
    await world.orderAll(kind, { answer: "fail" });
    await world.calls(kind, "open", "opening", 3, 1);
    await world.orderAll(kind, { answer: "good" });
    const from = world.gateway.lines.length;
    await world.order(kind, "b", { health: "failing" });
    await drain(kind, "POST");
    await world.event(kind, "unhealthy", "unhealthy", from);
    for (const name of OUT) {
      const row = table.begin(kind.title, name);
      rows.set(`${kind.speech}-${name}`, { row, before: await share(kind, name, "before") });
    }
  });

  const from = world.gateway.lines.length;
  await world.reload();

  await eachKind(async (kind) => {
    for (const name of OUT) {
      expect(await statusOf(kind, name)).toBe(name);
      const { row, before } = rows.get(`${kind.speech}-${name}`)!;
      const after = await share(kind, name, "after");
      expect([before, after]).toEqual([0, 0]);
      expect(world.events(kind, name, from)).toEqual([]);
      let then = "-";
      if (name === "unhealthy") {
        await world.order(kind, "b", { health: "good" });
        await world.event(kind, name, "healthy", from);
        then = "healthy again, 5 of 10";
        expect(await share(kind, name, "healed")).toBe(5);
      } else if (name === "draining") {
        expect((await drain(kind, "DELETE")).status).toBe(200);
        then = "taken back, 5 of 10";
        expect(await share(kind, name, "back")).toBe(5);
      }
      row.passed(String(before), String(after), then);
    }
    expect((await world.upstream(kind, "open")).circuit).toBe("open");
    const [refused] = await world.calls(kind, "open", "refused", 1, 1);
    expect(refused?.good).toBe(false);
    expect(world.seen(kind, "refused")).toEqual([]);
  });
});

test("a target or an upstream that there is not: 404; without the token: 401", async () => {
  const target = encodeURIComponent("http://127.0.0.1:1");
  expect((await world.admin(`/upstreams/http1-draining/targets/${target}/drain`, "POST")).status).toBe(404);
  expect((await world.admin(`/upstreams/nobody/targets/${target}/drain`, "POST")).status).toBe(404);
  const open = await fetch(`${world.gateway.admin}/upstreams/http1-draining/targets/${target}/drain`, {
    method: "POST",
  });
  expect(open.status).toBe(401);
});
