import { afterEach, expect, test } from "bun:test";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, SluiceError } from "sluice/plugin";
import { createMemoryLog, createSeededRandom } from "sluice/testing";
import type { TargetConfig, UpstreamConfig } from "../../config/types.ts";
import { testCertificates } from "../listener/test-certificates.ts";
import { createKeep, type KeepScope } from "../services/keep.ts";
import { systemClock } from "../services/clock.ts";
import { createUpstreams, type Target, type UpstreamSet } from "./index.ts";
import { outbound, targetOf, textOf, upstreamConfig } from "./test-kit.ts";

/* Upstreams as the gateway makes them from its configuration, and across reloads. */

const keep = createKeep();
const scopes: KeepScope[] = [];
afterEach(async () => {
  for (const scope of scopes.splice(0)) await scope.release(() => {});
});

function generation(...configs: UpstreamConfig[]): { upstreams: UpstreamSet; scope: KeepScope } {
  const scope = keep.scope();
  scopes.push(scope);
  const upstreams = createUpstreams(configs, {
    clock: systemClock,
    random: createSeededRandom(1),
    log: createMemoryLog(),
    keep: (key, create, close) => scope.keep(key, create, close),
  });
  return { upstreams, scope };
}

function pick(set: UpstreamSet, name = "test"): Target {
  const target = set.get(name)?.pick();
  if (target === undefined) throw new Error(`${name} has no target with room`);
  return target;
}

const weighted = (port: number, weight = 1): TargetConfig => ({ ...targetOf({ port }), weight });

test("targets take turns by weight", () => {
  const config = upstreamConfig({ name: "pair", targets: [weighted(1, 3), weighted(2, 1)] });
  const { upstreams } = generation(config);
  const ports = Array.from({ length: 8 }, () => pick(upstreams, "pair").config.port);
  expect(ports).toEqual([1, 1, 2, 1, 1, 1, 2, 1]);
});

test("an upstream without targets is unavailable, with Retry-After", () => {
  const upstream = generation(upstreamConfig({ name: "empty" })).upstreams.get("empty");
  let error: unknown;
  try {
    upstream?.pick();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(SluiceError);
  const { code, reason, headers } = error as SluiceError;
  expect([code, reason, headers]).toEqual(["unavailable", "no_target", [["retry-after", "1"]]]);
});

test("plugins see names, targets and what is under way", () => {
  const { upstreams } = generation(upstreamConfig({ name: "one", targets: [weighted(7, 2)] }));
  expect(upstreams.views.names).toEqual(["one"]);
  expect(upstreams.views.get("two")).toBeUndefined();
  const view = upstreams.views.get("one");
  expect([view?.name, view?.protocol]).toEqual(["one", "http1"]);
  const target = pick(upstreams, "one");
  target.acquire();
  const [seen] = view!.targets;
  expect([seen?.url, seen?.weight, seen?.healthy, seen?.inFlight]).toEqual([
    "http://127.0.0.1:7",
    2,
    true,
    1,
  ]);
  target.release();
  expect(seen?.inFlight).toBe(0);
});

test("a reload that leaves a target as it is leaves its connections and counts; its weight may change", async () => {
  using server = Bun.serve({ port: 0, fetch: () => new Response("ok") });
  const before = generation(upstreamConfig({ targets: [weighted(server.port!)] }));
  const old = pick(before.upstreams);
  old.acquire();
  await textOf(await old.transport.request(outbound()));

  const after = generation(upstreamConfig({ targets: [weighted(server.port!, 5)] }));
  await before.scope.release(() => {});
  const target = pick(after.upstreams);
  expect(target.transport).toBe(old.transport);
  expect([target.inFlight, target.weight, target.transport.connections.idle]).toEqual([1, 5, 1]);
  old.release();
  expect(target.inFlight).toBe(0);
});

test("the last generation that has a target closes its connections", async () => {
  using server = Bun.serve({ port: 0, fetch: () => new Response("ok") });
  const { upstreams, scope } = generation(upstreamConfig({ targets: [weighted(server.port!)] }));
  const { transport } = pick(upstreams);
  await textOf(await transport.request(outbound()));
  await scope.release(() => {});
  expect(transport.connections.open).toBe(0);
});

for (const [what, change] of [
  ["pool", { pool: { maxConnections: 1, idleTimeout: 1, maxAge: 1, maxPending: 1 } }],
  ["protocol", { protocol: "http2" }],
  ["name", { name: "other" }],
] as const) {
  test(`another ${what} means other connections`, () => {
    const targets = [weighted(9)];
    const one = pick(generation(upstreamConfig({ targets })).upstreams);
    const config = upstreamConfig({ targets, ...change });
    const two = pick(generation(config).upstreams, config.name);
    expect(two.transport).not.toBe(one.transport);
  });
}

test("TLS files are read anew at each generation: other contents mean other connections", () => {
  using certificates = testCertificates();
  const ca = join(certificates.dir, "used.pem");
  const config = () =>
    upstreamConfig({
      targets: [targetOf({ port: 9, tls: {} })],
      tls: { ca, cert: undefined, key: undefined, serverName: undefined, verify: true },
    });
  const picked = () => pick(generation(config()).upstreams).transport;
  copyFileSync(certificates.ca, ca);
  const first = picked();
  expect(picked()).toBe(first);
  copyFileSync(certificates.selfSigned("next").cert, ca);
  expect(picked()).not.toBe(first);
  writeFileSync(ca, "no certificate");
  expect(picked).toThrow(ConfigError);
});
