import { expect, test } from "bun:test";
import type { HealthConfig } from "../../../config/types.ts";
import { startGrpcHealthServer } from "./test-grpc-server.ts";
import { type Watch, watch } from "./test-watch.ts";

/*
 * How long it takes until a fault is seen and until its end is, with the defaults (interval 5 s, timeout 2 s, fall 3,
 * rise 2). Each begins just after a check, when the next is furthest.
 */

interface Bench extends AsyncDisposable {
  readonly port: number;
  readonly faults: Readonly<Record<string, Fault>>;
  /** Takes the fault back. */
  recover(): void | Promise<void>;
}

interface Fault {
  begin(): void | Promise<void>;
  /** For those with which a check hangs: answers once it has got as far as it gets. */
  readonly reached?: () => Promise<unknown>;
}

async function http1Bench(): Promise<Bench> {
  let asked = Promise.withResolvers<void>();
  let released = Promise.withResolvers<Response>();
  const good = () => new Response("ready");
  let answer: () => Response | Promise<Response> = good;
  const start = (port: number) => Bun.serve({ hostname: "127.0.0.1", port, fetch: () => answer() });
  let server: ReturnType<typeof start> | undefined = start(0);
  const port = server.port!;
  const kill = async () => {
    await server?.stop(true);
    server = undefined;
  };
  return {
    port,
    faults: {
      "status 503": { begin: () => void (answer = () => new Response("ready", { status: 503 })) },
      redirect: { begin: () => void (answer = () => Response.redirect("http://127.0.0.1:1/")) },
      "wrong body": { begin: () => void (answer = () => new Response("starting")) },
      hangs: {
        begin() {
          answer = () => {
            asked.resolve();
            return released.promise;
          };
        },
        async reached() {
          await asked.promise;
          asked = Promise.withResolvers();
        },
      },
      killed: { begin: kill },
    },
    recover() {
      answer = good;
      released.resolve(good());
      released = Promise.withResolvers();
      server ??= start(port);
    },
    [Symbol.asyncDispose]: kill,
  };
}

async function grpcBench(): Promise<Bench> {
  let server = await startGrpcHealthServer();
  const { port } = server;
  let gone = false;
  let calls = 0;
  return {
    port,
    faults: {
      NOT_SERVING: { begin: () => void (server.say = { serving: 2 }) },
      NOT_FOUND: { begin: () => void (server.say = { code: "NOT_FOUND" }) },
      hangs: {
        begin() {
          server.say = "nothing";
          calls = server.calls.length;
        },
        reached: () => server.called(++calls),
      },
      killed: {
        async begin() {
          gone = true;
          await server[Symbol.asyncDispose]();
        },
      },
    },
    async recover() {
      server.say = { serving: 1 };
      if (gone) server = await startGrpcHealthServer(true, port);
      gone = false;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function tcpBench(): Promise<Bench> {
  const start = (port: number) => Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
  let listener = start(0);
  const { port } = listener;
  return {
    port,
    faults: { killed: { begin: () => listener.stop(true) } },
    recover: () => void (listener = start(port)),
    [Symbol.asyncDispose]: () => Promise.resolve(listener.stop(true)),
  };
}

/** Checks until the verdict changes. */
async function untilChanged(health: Watch, reached?: () => Promise<unknown>) {
  const before = health.changes.length;
  const from = health.clock.monotonic();
  let checks = 0;
  for (; health.changes.length === before; checks++)
    await (reached === undefined ? health.next() : health.nextHanging(reached));
  return { checks, ms: health.clock.monotonic() - from };
}

test("times to leave a target out and to take it back", async () => {
  const rows: Record<string, string | number>[] = [];
  for (const [kind, bench] of [
    ["http", http1Bench],
    ["grpc", grpcBench],
    ["tcp", tcpBench],
  ] satisfies [HealthConfig["kind"], () => Promise<Bench>][]) {
    await using target = await bench();
    for (const [name, fault] of Object.entries(target.faults)) {
      using health = watch({
        port: target.port,
        config: { kind, ...(kind === "http" && { body: "ready" }) },
      });
      expect(await health.next()).toStartWith("true ");
      await fault.begin();
      const out = await untilChanged(health, fault.reached);
      await target.recover();
      const back = await untilChanged(health);
      const [reason] = health.changes;
      rows.push({
        kind,
        fault: name,
        found: reason!.replace("false ", ""),
        checks: out.checks,
        "ms until unhealthy": out.ms,
        "checks back": back.checks,
        "ms until healthy": back.ms,
      });
      expect(health.changes).toHaveLength(2);
      const hanging = fault.reached !== undefined;
      // Three checks, the last of which may take its whole timeout; then two, the first one interval after that began.
      expect([out, back]).toEqual([
        { checks: 3, ms: hanging ? 17_000 : 15_000 },
        { checks: 2, ms: hanging ? 8_000 : 10_000 },
      ]);
    }
  }
  console.log(Bun.inspect.table(rows));
});
