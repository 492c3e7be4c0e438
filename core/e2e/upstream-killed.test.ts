import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import type { Said } from "./policy-client.ts";
import { type Kind, KINDS, PolicyWorld } from "./policy-world.ts";

/*
 * One of two targets is killed and started again under load, on the compiled binary with every kind of upstream: no
 * request that may be sent twice fails, and none that may not be is.
 */

const table = new CaseTable(
  "a target killed and started twice under load",
  "upstream",
  "safe requests",
  "failed",
  "killed in the answer",
  "sent again",
  "others",
  "failed",
  "sent twice",
);

/** More than this no kind is sent, however long the target takes to start. */
const MOST = 40_000;
const AT_ONCE = 16;
/** So many requests are under way at any time, and lost when their target is killed. */
const STALL = { every: 1, ms: 10 };
const RETRIES = `attempts: 3, on: [connect, reset, timeout, "503"]`;

let world: PolicyWorld;
beforeAll(async () => {
  world = await PolicyWorld.start({
    upstreams: ({ method }) => ({
      // A gRPC call is a POST: `methods` is the operator's word that it may be sent again.
      retrying: `retries: { ${RETRIES}${method === "POST" ? ", methods: [POST]" : ""} }`,
      careful: `retries: { ${RETRIES} }`,
    }),
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

/** Clients of one kind of upstream that go on until they are told to stop. */
class Load {
  readonly kind: Kind;
  readonly safe: Said[] = [];
  readonly others: Said[] = [];
  readonly over: Promise<unknown>;
  #sent = 0;
  #stopped = false;
  #waiting: { readonly at: number; readonly wake: () => void }[] = [];

  constructor(kind: Kind) {
    this.kind = kind;
    this.over = Promise.all(Array.from({ length: AT_ONCE }, () => this.#client()));
  }

  /** Once so many more requests are over. */
  more(count: number): Promise<void> {
    const at = this.safe.length + this.others.length + count;
    return new Promise((wake) => this.#waiting.push({ at, wake }));
  }

  stop(): void {
    this.#stopped = true;
  }

  async #client(): Promise<void> {
    while (!this.#stopped && this.#sent < MOST) {
      const number = this.#sent++;
      // Every fourth is one that must not be sent twice.
      if (number % 4 === 0) this.others.push(await this.#other(`other-${number}`));
      else this.safe.push(await world.call(this.kind, "retrying", `safe-${number}`));
      const over = this.safe.length + this.others.length;
      for (const { wake } of this.#waiting.filter(({ at }) => at <= over)) wake();
      this.#waiting = this.#waiting.filter(({ at }) => at > over);
    }
  }

  #other(id: string): Promise<Said> {
    const upstream = this.kind.speech === "grpc" ? "careful" : "retrying";
    return world.call(this.kind, upstream, id, "POST");
  }
}

const stall = (target: string): Promise<unknown> =>
  Promise.all(KINDS.map((kind) => world.order(kind, target, { stall: STALL })));

test("zero failed GETs; nothing that is not safe is sent twice", async () => {
  await Promise.all([stall("a"), stall("b")]);
  const loads = KINDS.map((kind) => new Load(kind));
  const rows = KINDS.map(({ title }) => table.begin(title));
  const more = (count: number): Promise<unknown> => Promise.all(loads.map((load) => load.more(count)));
  const victim = world.targets.get("b")!;
  for (let round = 0; round < 2; round++) {
    await more(100);
    const from = world.gateway.lines.length;
    await victim.kill();
    await more(50);
    // What is known of targets outlives it, and so do the requests.
    await world.reload();
    await more(50);
    await victim.start();
    await stall("b");
    await Promise.all(KINDS.map((kind) => world.event(kind, "retrying", "reachable", from)));
    await more(50);
  }
  for (const load of loads) load.stop();
  await Promise.all(loads.map(({ over }) => over));

  for (const [i, { kind, safe, others }] of loads.entries()) {
    const wrong = safe.filter(({ good }) => !good);
    const lost = wrong.filter(({ committed }) => !committed);
    expect(lost).toEqual([]);
    const times = new Map<string, number>();
    const seen = world.seen(kind, "other");
    for (const { id } of seen) times.set(id, (times.get(id) ?? 0) + 1);
    const twice = [...times].filter(([, count]) => count > 1);
    expect(twice).toEqual([]);
    // Whoever got an answer was seen.
    expect(times.size).toBeGreaterThanOrEqual(others.filter(({ good }) => good).length);
    const again = world.seen(kind, "safe");
    expect(new Set(again.map(({ target }) => target))).toEqual(new Set(["a", "b"]));
    rows[i]!.passed(
      ...[safe.length, lost.length, wrong.length, again.length - safe.length, others.length].map(String),
      ...[others.filter(({ good }) => !good).length, twice.length].map(String),
    );
  }
});
