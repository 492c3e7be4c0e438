import { expect, test } from "bun:test";
import fc from "fast-check";
import type { DnsConfig } from "../../../config/types.ts";
import { createFakeClock, type FakeClock } from "../../testing/fake-clock.ts";
import { createSeededRandom } from "../../testing/seeded-random.ts";
import { type FoundAddress, type LookUp, type LookUpAnswer, LookUpError } from "./look-up.ts";
import { systemLookUp } from "./system-look-up.ts";
import { a, NXDOMAIN, type Reply, SERVFAIL, startDns } from "./test-dns-server.ts";
import { type NameWatch, watchName } from "./watch-name.ts";

const CONFIG: DnsConfig = {
  servers: [],
  family: "auto",
  addresses: "all",
  minTtl: 1_000,
  maxTtl: 300_000,
  timeout: 5_000,
};

/** Waits as long as they may be. */
const WITHOUT_JITTER = { next: () => 0 };

/** What one look-up comes to: addresses, or the code of a failure. */
type Said = readonly string[] | string;

interface Scripted {
  readonly watch: NameWatch;
  readonly clock: FakeClock;
  /** Clock times of the look-ups, in milliseconds after the start. */
  readonly lookedUp: number[];
  /** What was known each time that `changed` was called. */
  readonly changes: string[];
  /** What look-ups from now on come to. */
  say(said: Said | LookUpAnswer): void;
}

const found = (addresses: readonly string[]): FoundAddress[] =>
  addresses.map((address) => ({ address, port: undefined, weight: undefined, priority: undefined }));

function answerOf(said: Said | LookUpAnswer, name: string, ttl: number): LookUpAnswer {
  if (typeof said === "string") throw new LookUpError(said, name);
  return "ttl" in said ? said : { addresses: found(said), ttl };
}

/** Addresses, and what failed. */
function shown({ addresses, failure, truncated }: NameWatch): string {
  const list = addresses?.map(({ address, port }) => (port === undefined ? address : `${address}:${port}`));
  return [
    list?.join(" ") ?? "unknown",
    ...(failure ? [failure] : []),
    ...(truncated ? ["truncated"] : []),
  ].join(", ");
}

function scripted(
  first: Said | LookUpAnswer,
  {
    ttl = 60_000,
    config = {},
    random = WITHOUT_JITTER,
  }: {
    ttl?: number;
    config?: Partial<DnsConfig>;
    random?: { next(): number };
  } = {},
): Scripted {
  const clock = createFakeClock();
  const start = clock.now();
  const lookedUp: number[] = [];
  const changes: string[] = [];
  let said = first;
  const watch = watchName({
    name: "api.test",
    srv: false,
    config: { ...CONFIG, ...config },
    clock,
    random,
    lookUp: async ({ name }) => {
      lookedUp.push(clock.now() - start);
      return answerOf(said, name, ttl);
    },
    changed: () => void changes.push(shown(watch)),
  });
  return { watch, clock, lookedUp, changes, say: (next) => void (said = next) };
}

test("the first look-up's addresses, sorted, and the next ones when the TTL ends", async () => {
  const { watch, clock, lookedUp, changes, say } = scripted(["10.0.0.2", "10.0.0.1", "10.0.0.2"]);
  expect(watch.addresses).toBeUndefined();
  await watch.first;
  expect(watch.addresses?.map(({ address }) => address)).toEqual(["10.0.0.1", "10.0.0.2"]);
  // Another order is no change.
  const { addresses } = watch;
  say(["10.0.0.1", "10.0.0.2"]);
  await clock.advance(60_000);
  expect(watch.addresses).toBe(addresses);
  say(["10.0.0.3"]);
  await clock.advance(60_000);
  expect(lookedUp).toEqual([0, 60_000, 120_000]);
  expect(changes).toEqual(["10.0.0.1 10.0.0.2", "10.0.0.3"]);
  watch.close();
});

test("look-ups come up to a twentieth before the TTL ends, within its bounds", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.nat(1_000_000), fc.constantFrom(0, Infinity, NaN, -1)),
      fc.integer({ min: 100, max: 10_000 }),
      fc.nat(1_000_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      async (ttl, minTtl, more, chance) => {
        const maxTtl = minTtl + more;
        const random = { next: () => chance };
        const { watch, clock, lookedUp } = scripted(["10.0.0.1"], {
          ttl,
          config: { minTtl, maxTtl },
          random,
        });
        const wait = Number.isNaN(ttl) ? minTtl : Math.min(Math.max(ttl, minTtl), maxTtl);
        await clock.advance(wait);
        expect(lookedUp[1]).toBeGreaterThan(wait * 0.949);
        expect(lookedUp[1]).toBeLessThanOrEqual(wait);
        watch.close();
      },
    ),
    { numRuns: 100 },
  );
});

test("failures keep the addresses for as long as they last, and are tried again ever later", async () => {
  const { watch, clock, lookedUp, changes, say } = scripted(["10.0.0.1"], { ttl: 10_000 });
  await watch.first;
  say("timeout");
  await clock.advance(10_000 + 200_000);
  expect(watch.addresses).toHaveLength(1);
  // 1 s, 2 s, 4 s… and 30 s at the most.
  const waits = lookedUp.slice(1).map((time, i) => time - lookedUp[i]!);
  expect(waits.slice(0, 8)).toEqual([10_000, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  say("ESERVFAIL");
  await clock.advance(30_000);
  say(["10.0.0.1"]);
  await clock.advance(30_000);
  expect(changes).toEqual(["10.0.0.1", "10.0.0.1, timeout", "10.0.0.1, ESERVFAIL", "10.0.0.1"]);
  say("timeout");
  // Back-off begins anew.
  const begun = lookedUp.length;
  await clock.advance(20_000);
  const [first = 0, ...later] = lookedUp.slice(begun);
  expect(later.slice(0, 3).map((time) => time - first)).toEqual([1_000, 3_000, 7_000]);
  watch.close();
});

test("retries come up to a quarter earlier", async () => {
  const { watch, clock, lookedUp } = scripted("timeout", { random: { next: () => 0.999_999 } });
  await clock.advance(2_260);
  expect(lookedUp.map(Math.round)).toEqual([0, 750, 2_250]);
  watch.close();
});

test("that there is nothing is believed the third time running", async () => {
  for (const nothing of ["ENOTFOUND", "ENODATA", []] as const) {
    const { watch, clock, changes, say } = scripted(["10.0.0.1"], { ttl: 10_000 });
    await watch.first;
    const code = typeof nothing === "string" ? nothing : "ENOTFOUND";
    say(nothing);
    await clock.advance(10_000);
    expect(shown(watch)).toBe(`10.0.0.1, ${code}`);
    await clock.advance(2_999);
    expect(shown(watch)).toBe(`10.0.0.1, ${code}`);
    await clock.advance(1);
    expect(shown(watch)).toBe(`, ${code}`);
    say(["10.0.0.2"]);
    await clock.advance(4_000);
    expect(changes).toEqual(["10.0.0.1", `10.0.0.1, ${code}`, `, ${code}`, "10.0.0.2"]);
    watch.close();
  }
});

test("a first look-up without addresses leaves none, and says why", async () => {
  for (const [said, failure] of [
    ["ENOTFOUND", "ENOTFOUND"],
    ["timeout", "timeout"],
    [[], "ENOTFOUND"],
  ] as const) {
    const { watch, clock, changes, say } = scripted(said);
    await watch.first;
    expect([watch.addresses, watch.failure]).toEqual([[], failure]);
    say(["10.0.0.1"]);
    await clock.advance(1_000);
    expect(changes).toEqual([`, ${failure}`, "10.0.0.1"]);
    watch.close();
  }
});

test("what a failed part of an answer would have said stays as it was", async () => {
  const service = (host: string, address: string): FoundAddress => ({
    ...{ host, address, port: 80, weight: 1, priority: 0 },
  });
  const { watch, clock, changes, say } = scripted(
    { addresses: [service("a", "10.0.0.1"), service("b", "10.0.0.2"), service("b", "fd00::2")], ttl: 10_000 },
    {},
  );
  await watch.first;
  say({
    addresses: [service("a", "10.0.0.3"), service("b", "10.0.0.4")],
    ttl: 10_000,
    failed: [{ host: "b", family: 6, code: "ESERVFAIL" }],
  });
  await clock.advance(10_000);
  expect(shown(watch)).toBe("10.0.0.3:80 10.0.0.4:80 fd00::2:80, ESERVFAIL");
  // Tried again as any failure is, however long the rest holds.
  say({ addresses: [], ttl: 10_000, failed: [{ host: "b", family: 4, code: "timeout" }] });
  await clock.advance(1_000);
  expect(shown(watch)).toBe("10.0.0.4:80, timeout");
  say({ addresses: [service("b", "10.0.0.4")], ttl: 10_000 });
  await clock.advance(2_000);
  expect(changes.slice(1)).toEqual([
    "10.0.0.3:80 10.0.0.4:80 fd00::2:80, ESERVFAIL",
    "10.0.0.4:80, timeout",
    "10.0.0.4:80",
  ]);
  watch.close();
});

test("too many addresses are said to be so", async () => {
  const many = Array.from({ length: 1_025 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const { watch, clock, say } = scripted(many);
  await watch.first;
  expect([watch.addresses?.length, watch.truncated]).toEqual([1_024, true]);
  say("timeout");
  await clock.advance(60_000);
  expect(watch.truncated).toBe(true);
  say(many.slice(0, 3));
  await clock.advance(1_000);
  expect([watch.addresses?.length, watch.truncated]).toEqual([3, false]);
  watch.close();
});

test("one look-up at a time, and none is heard of after the end", async () => {
  const clock = createFakeClock();
  const waiting: PromiseWithResolvers<LookUpAnswer>[] = [];
  let changes = 0;
  const lookUp: LookUp = () => {
    waiting.push(Promise.withResolvers());
    return waiting.at(-1)!.promise;
  };
  const options = { name: "api.test", srv: false, config: CONFIG, clock, random: WITHOUT_JITTER, lookUp };
  const watch = watchName({ ...options, changed: () => void changes++ });
  await clock.advance(1_000_000);
  expect(waiting).toHaveLength(1);
  waiting[0]!.resolve({ addresses: found(["10.0.0.1"]), ttl: 1_000 });
  await clock.advance(1_000);
  expect([waiting.length, changes]).toEqual([2, 1]);
  watch.close();
  waiting[1]!.resolve({ addresses: found(["10.0.0.2"]), ttl: 1_000 });
  await clock.advance(1_000_000);
  expect([waiting.length, changes, clock.pending]).toEqual([2, 1, 0]);
  expect(shown(watch)).toBe("10.0.0.1");

  const unheard = watchName({ ...options, changed: () => void changes++ });
  unheard.close();
  unheard.close();
  await unheard.first;
  waiting[2]!.reject(new LookUpError("timeout", "api.test"));
  await clock.advance(1_000_000);
  expect([unheard.addresses, changes, clock.pending]).toEqual([undefined, 1, 0]);
});

test("a closed watch that waits waits no more", async () => {
  const { watch, clock, lookedUp } = scripted(["10.0.0.1"]);
  await watch.first;
  expect(clock.pending).toBe(1);
  watch.close();
  expect(clock.pending).toBe(0);
  await clock.advance(1_000_000);
  expect(lookedUp).toEqual([0]);
});

test("a look-up that throws at once is a failure like any other", async () => {
  let changes = 0;
  const watch = watchName({
    ...{ name: "api.test", srv: false, config: CONFIG, clock: createFakeClock(), random: WITHOUT_JITTER },
    lookUp: () => {
      throw new TypeError("no");
    },
    changed: () => void changes++,
  });
  // Nobody is called before there is a watch to look at.
  expect(changes).toBe(0);
  await watch.first;
  expect([watch.addresses, watch.failure, changes]).toEqual([[], "failed", 1]);
  watch.close();
});

test("whatever look-ups say, addresses only go when they are replaced or gone three times running", async () => {
  const said = fc.oneof(
    fc.subarray(["10.0.0.1", "10.0.0.2", "10.0.0.3"], { minLength: 1 }),
    fc.constantFrom("ENOTFOUND", "ENODATA", "timeout", "ESERVFAIL"),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(said, { minLength: 1, maxLength: 12 }), fc.nat(), async (says, seed) => {
      const random = createSeededRandom(seed);
      const { watch, clock, say, lookedUp } = scripted(says[0]!, { ttl: 5_000, random });
      await watch.first;
      let expected: readonly string[] = [];
      let nothing = 0;
      for (const [i, one] of says.entries()) {
        say(one);
        while (lookedUp.length <= i) await clock.advance(100);
        nothing = one === "ENOTFOUND" || one === "ENODATA" ? nothing + 1 : 0;
        if (typeof one !== "string") expected = one;
        else if (nothing >= 3) expected = [];
        expect(watch.addresses?.map(({ address }) => address)).toEqual([...expected]);
        expect(watch.failure).toBe(typeof one === "string" ? one : undefined);
      }
      watch.close();
    }),
    { numRuns: 50 },
  );
});

test("a real server's changes are followed: new addresses, a failure, the end of a name", async () => {
  let reply: Reply = [a("api.test", "10.0.0.1", 2), a("api.test", "10.0.0.2", 2)];
  await using dns = await startDns(() => reply);
  const clock = createFakeClock();
  let heard = Promise.withResolvers<void>();
  const watch = watchName({
    ...{ name: "api.test", srv: false, clock, random: WITHOUT_JITTER, lookUp: systemLookUp },
    config: { ...CONFIG, servers: [dns.address] },
    changed: () => heard.resolve(),
  });
  const next = async (ms: number) => {
    await clock.advance(ms);
    await heard.promise;
    heard = Promise.withResolvers();
    return shown(watch);
  };
  expect(await next(0)).toBe("10.0.0.1 10.0.0.2");
  reply = [a("api.test", "10.0.0.2", 2), a("api.test", "10.0.0.3", 2)];
  expect(await next(2_000)).toBe("10.0.0.2 10.0.0.3");
  reply = SERVFAIL;
  expect(await next(2_000)).toBe("10.0.0.2 10.0.0.3, ESERVFAIL");
  reply = [a("api.test", "10.0.0.3", 2)];
  expect(await next(1_000)).toBe("10.0.0.3");
  reply = NXDOMAIN;
  expect(await next(2_000)).toBe("10.0.0.3, ENOTFOUND");
  watch.close();
});
