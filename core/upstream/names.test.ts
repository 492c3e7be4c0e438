import { afterEach, expect, test } from "bun:test";
import type { SluiceError } from "sluice/plugin";
import { createFakeClock, createMemoryLog, createSeededRandom } from "sluice/testing";
import type { TargetConfig, UpstreamConfig } from "../../config/types.ts";
import { createKeep, type KeepScope } from "../services/keep.ts";
import { LookUpError, type LookUp } from "./dns/index.ts";
import { createUpstreams, UpstreamEvents, type UpstreamSet } from "./index.ts";
import { outbound, targetOf, textOf, upstreamConfig } from "./test-kit.ts";

/* Targets that are names: each address is a target, and they come and go with what the name says. */

const scopes: KeepScope[] = [];
afterEach(async () => {
  for (const scope of scopes.splice(0)) await scope.release(() => {});
});

/** Names and what they have; a text is a failure. */
type Zone = Record<
  string,
  readonly { address: string; port?: number; weight?: number; priority?: number }[] | string
>;

function world(zone: Zone) {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const keep = createKeep();
  const upstreamEvents = new UpstreamEvents(log);
  let asked = 0;
  const lookUp: LookUp = async ({ name }) => {
    asked++;
    await Promise.resolve();
    const found = zone[name] ?? [];
    if (typeof found === "string") throw new LookUpError(found, name);
    return {
      addresses: found.map(({ address, port, weight, priority }) => ({ address, port, weight, priority })),
      ttl: 10_000,
    };
  };
  let current: UpstreamSet | undefined;
  return {
    clock,
    log,
    get asked() {
      return asked;
    },
    reload(fields: Partial<UpstreamConfig>) {
      const scope = keep.scope();
      const before = scopes.splice(0);
      const set = createUpstreams([upstreamConfig(fields)], {
        ...{ clock, log, upstreamEvents, lookUp, random: createSeededRandom(3) },
        keep: (key, create, close) => scope.keep(key, create, close),
      });
      set.activate(current);
      current = set;
      scopes.push(scope);
      for (const one of before) void one.release(() => {});
      return set.get("test")!;
    },
  };
}

const named = (host: string, fields: Partial<TargetConfig> = {}): TargetConfig => ({
  ...targetOf({ host, port: 8080 }),
  ...fields,
});

const urls = (upstream: { targets: readonly { url: string }[] }) => upstream.targets.map(({ url }) => url);

test("each address of a name is a target, and changes are followed when the TTL is over", async () => {
  const zone: Zone = { "api.test": [{ address: "10.0.0.1" }, { address: "10.0.0.2" }] };
  const it = world(zone);
  const upstream = it.reload({
    targets: [named("api.test", { url: "http://api.test:8080/base", basePath: "/base" })],
  });
  await upstream.resolving;
  expect(urls(upstream)).toEqual(["http://10.0.0.1:8080/base", "http://10.0.0.2:8080/base"]);
  const kept = upstream.targets[1]!;
  kept.state.eject(60_000, "5xx");
  zone["api.test"] = [{ address: "10.0.0.2" }, { address: "2001:db8::3" }];
  await it.clock.advance(10_000);
  expect(urls(upstream)).toEqual(["http://10.0.0.2:8080/base", "http://[2001:db8::3]:8080/base"]);
  // Who stays keeps its state.
  expect(upstream.targets.map(({ status }) => status)).toEqual(["ejected", "available"]);
  const told = it.log.lines.map(({ fields }) => `${String(fields["event"])} ${String(fields["target"])}`);
  expect(told).toContain("added http://[2001:db8::3]:8080/base");
  expect(told).toContain("removed http://10.0.0.1:8080/base");
});

test("a request connects to the address and asks for the name", async () => {
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => new Response(request.url) });
  const it = world({ "api.test": [{ address: "127.0.0.1" }] });
  const upstream = it.reload({ targets: [{ ...named("api.test"), port: server.port! }] });
  await upstream.resolving;
  const target = upstream.pick()!;
  const answer = await target.transport.request(outbound({ authority: "api.test" }));
  expect(await textOf(answer)).toBe("http://api.test/");
});

test("SRV records bring port, weight and priority", async () => {
  const it = world({
    "_http._tcp.api.test": [
      { address: "10.0.0.1", port: 81, weight: 3, priority: 1 },
      { address: "10.0.0.2", port: 82, weight: 1, priority: 1 },
      { address: "10.0.0.3", port: 83, weight: 1, priority: 2 },
    ],
  });
  const srv = named("_http._tcp.api.test", { srv: true, port: 0, url: "http+srv://_http._tcp.api.test" });
  const upstream = it.reload({ targets: [srv] });
  await upstream.resolving;
  const ports = Array.from({ length: 8 }, () => upstream.pick()!.config.port);
  expect(ports.filter((port) => port === 81)).toHaveLength(6);
  expect(ports.filter((port) => port === 82)).toHaveLength(2);
  for (const target of upstream.targets.slice(0, 2)) target.state.drain(true, "test");
  expect(upstream.pick()?.config.port).toBe(83);
});

test("an operator's priority weighs more than a record's, and is the same for names and addresses", async () => {
  const srv = (priority: number) =>
    named("_http._tcp.api.test", { srv: true, port: 0, url: "http+srv://_http._tcp.api.test", priority });
  const zone: Zone = { "_http._tcp.api.test": [{ address: "10.0.0.1", port: 81, weight: 1, priority: 10 }] };
  for (const [ofName, ofAddress, asked] of [
    [0, 1, [81]],
    [1, 0, [9]],
    [1, 1, [9]],
  ] as const) {
    const spare = { ...targetOf({ port: 9 }), priority: ofAddress };
    const it = world(zone);
    const upstream = it.reload({ targets: [srv(ofName), spare] });
    await it.clock.advance(0);
    const ports = new Set(Array.from({ length: 8 }, () => upstream.pick()!.config.port));
    expect([...ports]).toEqual([...asked]);
    expect(upstream.view.targets.map(({ priority }) => priority)).toContain(ofName);
  }
});

test("an address that passes from one name to another is asked as the other", async () => {
  const zone: Zone = { "a.test": [{ address: "10.0.0.1" }], "b.test": [{ address: "10.0.0.1" }] };
  const it = world(zone);
  const upstream = it.reload({ targets: [named("a.test"), named("b.test")] });
  await upstream.resolving;
  await it.clock.advance(0);
  expect(upstream.targets.map(({ config }) => config.host)).toEqual(["a.test"]);
  const { transport, state } = upstream.targets[0]!;
  zone["a.test"] = [{ address: "10.0.0.2" }];
  await it.clock.advance(10_000);
  expect(upstream.targets.map(({ config }) => [config.host, config.address])).toEqual([
    ["a.test", "10.0.0.2"],
    ["b.test", "10.0.0.1"],
  ]);
  expect([upstream.targets[1]!.state === state, upstream.targets[1]!.transport === transport]).toEqual([
    true,
    false,
  ]);
});

test("a name that cannot be looked up is nobody to ask, and says so; afterwards it keeps what it had", async () => {
  const zone: Zone = { "api.test": "ESERVFAIL" };
  const it = world(zone);
  const upstream = it.reload({ targets: [named("api.test")] });
  await upstream.resolving;
  let error: unknown;
  try {
    upstream.pick();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: "unavailable", reason: "dns" });
  expect((error as SluiceError).headers).toEqual([["retry-after", "1"]]);
  zone["api.test"] = [{ address: "10.0.0.1" }];
  await it.clock.advance(2_000);
  expect(urls(upstream)).toEqual(["http://10.0.0.1:8080"]);
  zone["api.test"] = "ETIMEOUT";
  await it.clock.advance(60_000);
  expect(urls(upstream)).toEqual(["http://10.0.0.1:8080"]);
  const events = it.log.lines.map(({ fields }) => fields["event"]);
  expect(events.filter((event) => String(event).startsWith("dns_"))).toEqual([
    "dns_failed",
    "dns_recovered",
    "dns_failed",
  ]);
});

test("a reload neither asks again nor loses what is known; a name that is gone is not asked for any more", async () => {
  const it = world({
    "api.test": [{ address: "10.0.0.1" }],
    "b.test": [{ address: "10.0.0.1" }, { address: "10.0.0.9" }],
  });
  const first = it.reload({ targets: [named("api.test")] });
  await first.resolving;
  first.targets[0]!.state.setHealth(false, "status 503");
  const second = it.reload({ targets: [named("api.test"), named("b.test")], health: HEALTH });
  expect(it.asked).toBe(2);
  expect(second.resolving).toBeUndefined();
  await it.clock.advance(0);
  // One address of two names is one target.
  expect(second.targets.map(({ url, status }) => [url, status])).toEqual([
    ["http://10.0.0.1:8080", "unhealthy"],
    ["http://10.0.0.9:8080", "available"],
  ]);
  const third = it.reload({ targets: [named("b.test")] });
  await it.clock.advance(0);
  const before = it.asked;
  await it.clock.advance(10_000);
  expect([it.asked - before, urls(third).length]).toEqual([1, 2]);
});

const HEALTH: UpstreamConfig["health"] = {
  ...{ kind: "tcp", path: "/", method: "GET", host: undefined, headers: [], statuses: [], body: undefined },
  ...{ service: "", interval: 3_600_000, timeout: 1_000, fall: 3, rise: 2 },
};
