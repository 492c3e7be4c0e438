import { type Body, type Candidate, HeaderList, type HttpVersion, SluiceError } from "sluice/plugin";
import {
  createFakeClock,
  createMemoryLog,
  createSeededRandom,
  type FakeClock,
  type MemoryLog,
} from "sluice/testing";
import type { UpstreamConfig, UpstreamTimeouts } from "../../config/types.ts";
import type { Inbound } from "../listener/inbound.ts";
import { deadlinePassed } from "../pipeline/call-deadline.ts";
import { createDeadlineSweep } from "../pipeline/deadline-sweep.ts";
import { HttpExchange } from "../pipeline/exchange.ts";
import { createUpstreams, type Upstream, type UpstreamSet } from "../upstream/index.ts";
import { targetAt, upstreamConfig } from "../upstream/test-kit.ts";
import type { GatewayExchange } from "../pipeline/types.ts";
import { createForwarder } from "./forwarder.ts";
import type { Observer } from "../pipeline/types.ts";

/** One upstream of a test: where its target is, and what differs from the defaults. */
export interface TestUpstream extends Partial<Omit<UpstreamConfig, "timeouts">> {
  /** `http://127.0.0.1:PORT`, perhaps with a path. */
  readonly url?: string;
  /** The same of several targets, instead of `url`. */
  readonly urls?: readonly string[];
  readonly timeouts?: Partial<UpstreamTimeouts>;
}

/** A forwarder over real transports, in front of real sockets, under a clock that stands still. */
export interface Harness extends AsyncDisposable {
  readonly forwarder: { forward(x: GatewayExchange): Promise<void> };
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  /** What the observer was told of tries: upstream, target, status, failure class, seconds. */
  readonly tries: readonly Tried[];
  /** And of retries and hedges: upstream, kind, outcome. */
  readonly retries: readonly Retried[];
  readonly upstreams: UpstreamSet;
  /** What the observer was told of steps. */
  readonly stepsFinished: readonly { readonly step: string; readonly ms: number; readonly outcome: string }[];
  /** Requests under way on the target of that upstream. */
  inFlight(name: string): number;
  /** An exchange as the gateway makes it; its candidate is the upstream `u` unless told otherwise. */
  exchange(request?: TestRequest): TestExchange;
}

export interface TestRequest {
  readonly method?: string;
  readonly path?: string;
  readonly search?: string;
  readonly authority?: string;
  readonly version?: HttpVersion;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: Body | null;
  readonly candidates?: readonly Candidate[];
  /** Where informational answers are noted. */
  readonly informed?: Informed[];
}

type Tried = Parameters<Observer["tried"]>;
type Retried = Parameters<Observer["retried"]>;

/** An informational answer that would have gone to the client. */
export type Informed = [status: number, fields: [name: string, value: string][]];

export class TestExchange extends HttpExchange {
  /** The answer's body as text, with the trailers that came behind it. */
  async text(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const chunk = (await this.response!.body?.read()) ?? null;
      if (chunk === null) return text + decoder.decode();
      text += decoder.decode(chunk, { stream: true });
    }
  }
}

export function harness(upstreams: Readonly<Record<string, TestUpstream>>): Harness {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const tries: Tried[] = [];
  const retries: Retried[] = [];
  const stepsFinished: { step: string; ms: number; outcome: string }[] = [];
  const random = createSeededRandom(1);
  const sweep = createDeadlineSweep(clock);
  const close: (() => void | Promise<void>)[] = [];
  const set = createUpstreams(
    Object.entries(upstreams).map(([name, upstream]) => configOf(name, upstream)),
    {
      clock,
      random,
      log,
      keep(_, create, closeKept) {
        const value = create();
        close.push(() => closeKept?.(value));
        return value;
      },
    },
  );
  set.activate();
  const forwarder = createForwarder({
    ...{ upstreams: set, clock, random, log, pseudonym: "gate-1" },
    observer: {
      retried: (...one) => void retries.push(one),
      tried: (...tried) => void tries.push(tried),
      stepFinished: (step, _route, seconds, outcome) =>
        void stepsFinished.push({ step: step.config.key, ms: Math.round(seconds * 1000), outcome }),
    },
  });
  return {
    // A failure at once may be thrown: here it rejects.
    forwarder: { forward: async (x) => forwarder.forward(x) },
    clock,
    log,
    tries,
    retries,
    upstreams: set,
    stepsFinished,
    inFlight: (name) => targetsOf(set.get(name)),
    exchange(request = {}) {
      const { path = "/", search = "" } = request;
      const client = { address: "203.0.113.7", fromTrustedProxy: false };
      const inbound = inboundOf(request, path + search);
      const x = new TestExchange(inbound, path, search, client, clock.monotonic(), { clock, random });
      // As the gateway does it.
      const checkDeadline = (now: number): void => {
        if (now >= x.deadline) x.cancel(deadlinePassed(x.record));
      };
      if (x.deadline < Number.POSITIVE_INFINITY)
        sweep.add({ before: undefined, after: undefined, checkDeadline });
      x.candidates = request.candidates ?? [{ upstream: "u" }];
      return x;
    },
    async [Symbol.asyncDispose]() {
      for (const one of close) await one();
    },
  };
}

function inboundOf(request: TestRequest, rawTarget: string): Inbound {
  return {
    connection: {
      socketAddress: "203.0.113.7",
      socketPort: 4711,
      peerAddress: "203.0.113.7",
      peerPort: 4711,
      localAddress: "192.0.2.1",
      localPort: 8080,
      tls: undefined,
    },
    httpVersion: request.version ?? "1.1",
    method: request.method ?? "GET",
    rawTarget,
    scheme: "http",
    authority: request.authority ?? "shop.example",
    headers: HeaderList.from(request.headers ?? []),
    body: request.body ?? null,
    respond: () => Promise.reject(new Error("a forwarder does not answer")),
    inform: (status, headers) => void request.informed?.push([status, [...headers].map(([n, v]) => [n, v])]),
    onGone: undefined,
  };
}

function targetsOf(upstream: Upstream | undefined): number {
  return upstream!.view.targets.reduce((sum, target) => sum + target.inFlight, 0);
}

function configOf(name: string, { url, urls, timeouts, ...fields }: TestUpstream): UpstreamConfig {
  return upstreamConfig({
    name,
    targets: (urls ?? [url ?? ""]).map(targetAt),
    pool: { maxConnections: 16, idleTimeout: 60_000, maxAge: undefined, maxPending: 16 },
    ...fields,
    timeouts: { connect: 5_000, firstByte: 60_000, idle: 300_000, request: undefined, ...timeouts },
  });
}

/** A port that nobody listens on. */
export function deadUrl(): string {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return `http://127.0.0.1:${port}`;
}

/** What a promise rejects with; it must be a SluiceError. */
export async function failureOf(promise: Promise<unknown>): Promise<SluiceError> {
  const outcome: unknown = await promise.then(
    () => "nothing was thrown",
    (error: unknown) => error,
  );
  if (outcome instanceof SluiceError) return outcome;
  throw new Error(`expected a SluiceError, got ${String(outcome)}`);
}
