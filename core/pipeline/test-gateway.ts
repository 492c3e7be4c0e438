import type { Context, MiddlewareHandler, Next } from "hono";
import { type ConnectionFacts, definePlugin, type PluginInstance, type SluiceError } from "sluice/plugin";
import { createFakeClock, createMemoryLog, createSeededRandom, type FakeClock } from "sluice/testing";
import { z } from "zod";
import type {
  ConditionConfig,
  MatchConfig,
  RouteAction,
  RouteConfig,
  StepConfig,
  UpstreamConfig,
  UpstreamTimeouts,
} from "../../config/types.ts";
import { createForwarder } from "../forward/forwarder.ts";
import { bunSocketHandlers } from "../http1/bun-wire.ts";
import { createHttp1Server } from "../http1/server.ts";
import { LIMITS, RawClient } from "../http1/test-server.ts";
import type { Rejection, Sent } from "../listener/inbound.ts";
import { createUpstreams } from "../upstream/index.ts";
import { targetAt, upstreamConfig } from "../upstream/test-kit.ts";
import { composeRoute } from "./compose.ts";
import { createDeadlineSweep } from "./deadline-sweep.ts";
import { createGateway, type Gateway } from "./gateway.ts";
import type { Generation, Probes } from "./generation.ts";
import { compileRouter } from "./router.ts";
import { compileAnswer } from "./terminal-respond.ts";
import { compileTrust } from "../net/trusted-proxies.ts";
import type { GatewayExchange, Observer, ReadyStep } from "./types.ts";

/* A gateway of this folder's tests: HTTP/1.1 on a free port, routes and steps written in TypeScript. */

/** A middleware, written more loosely than Hono's type: what plugins in JavaScript do. */
export type StepHandler = (c: Context, next: Next) => unknown;

export interface TestStep extends Partial<Pick<StepConfig, "onError" | "timeout">> {
  readonly name?: string;
  readonly handle: StepHandler;
  readonly formatError?: PluginInstance["formatError"];
  readonly when?: Partial<ConditionConfig>;
}

export interface TestRoute {
  readonly path?: string;
  readonly match?: Partial<MatchConfig>;
  readonly steps?: readonly (TestStep | StepHandler)[];
  /** @default the upstream of the options */
  readonly action?: RouteAction;
}

export interface TestGatewayOptions {
  /** URL of the upstream that routes go to. */
  readonly upstream?: string;
  /** The upstream's, where they differ from the usual ones. */
  readonly timeouts?: Partial<UpstreamTimeouts>;
  readonly probes?: Probes;
  readonly ready?: () => boolean;
  readonly trustedProxies?: readonly string[];
  /** Connections that the upstream may have. @default 64 */
  readonly maxConnections?: number;
  /** `limits.buffered_body` of the listener. */
  readonly bufferedBody?: number;
}

/** What the observer was told of a request at its end. */
export interface Finished {
  readonly exchange: GatewayExchange;
  readonly sent: Sent;
  readonly failure: SluiceError | undefined;
  /** Of the answer. */
  readonly status: number | undefined;
}

export interface TestGateway extends Disposable {
  readonly url: string;
  readonly port: number;
  readonly gateway: Gateway;
  readonly clock: FakeClock;
  readonly finished: readonly Finished[];
  readonly rejections: readonly Rejection[];
  readonly stepsFinished: readonly { readonly step: string; readonly ms: number; readonly outcome: string }[];
  readonly strays: readonly { readonly plugin: string | undefined; readonly error: unknown }[];
  /** Requests that were retained by the generation and not released. */
  readonly retained: number;
  /** `fetch` without redirects and decoding. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** A connection that sends `text` as it is. */
  connect(text?: string): Promise<RawClient>;
  /** Resolves once this many requests have ended. */
  ended(count: number): Promise<void>;
}

const PLACE = { file: "test.yaml", line: 1, column: 1 };

export function testGateway(routes: readonly TestRoute[], options: TestGatewayOptions = {}): TestGateway {
  const clock = createFakeClock();
  const random = createSeededRandom(1);
  const log = createMemoryLog();
  const finished: Finished[] = [];
  const rejections: Rejection[] = [];
  const stepsFinished: { step: string; ms: number; outcome: string }[] = [];
  const strays: { plugin: string | undefined; error: unknown }[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const observer: Observer = {
    started: ignore,
    finished(exchange, sent) {
      finished.push({ exchange, sent, failure: exchange.record.failure, status: exchange.response?.status });
      for (const { count, resolve } of waiting) if (finished.length >= count) resolve();
    },
    tried: ignore,
    retried: ignore,
    rejected: (rejection) => void rejections.push(rejection),
    stepFinished: (step, _route, seconds, outcome) =>
      void stepsFinished.push({ step: step.config.plugin, ms: Math.round(seconds * 1000), outcome }),
    strayFailure: (plugin, error) => void strays.push({ plugin, error }),
  };

  const closers: (() => unknown)[] = [];
  const upstreams = createUpstreams(
    options.upstream === undefined ? [] : [configOf(options.upstream, options)],
    {
      ...{ clock, random, log },
      keep(_key, create, close) {
        const value = create();
        closers.push(() => close?.(value));
        return value;
      },
    },
  );
  const forwarder = createForwarder({ upstreams, observer, clock, random, log, pseudonym: "test" });
  const sweep = createDeadlineSweep(clock);
  const configs = routes.map(routeConfig);
  const ready = configs.map((config, i) => {
    const { action } = config;
    const terminal =
      action.kind === "upstream" ? (x: GatewayExchange) => forwarder.forward(x) : compileAnswer(action);
    return composeRoute(config, (routes[i]!.steps ?? []).map(readyStep), terminal, {
      clock,
      observer,
      sweep,
    });
  });
  const router = compileRouter(configs);
  let retained = 0;
  const generation: Generation = {
    match: (facts) => ready[router.match(facts)],
    trusts: compileTrust(options.trustedProxies ?? []),
    retain: () => void retained++,
    release: () => void retained--,
  };
  const gateway = createGateway({
    pseudonym: "sluice-test",
    ...{ observer, clock, random },
    current: () => generation,
    ready: options.ready ?? (() => true),
  });

  const { probes = { live: undefined, ready: undefined }, bufferedBody = LIMITS.bufferedBody } = options;
  const handler = gateway.forListener(() => ({ probes, limits: { bufferedBody } }));
  const server = createHttp1Server({ handler, limits: () => LIMITS, clock, log });
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: bunSocketHandlers({
      opened(wire) {
        wire.owner = server.accept(wire, CONNECTION, new Uint8Array(0));
      },
    }),
  });
  const url = `http://127.0.0.1:${listener.port}`;
  return {
    ...{ url, port: listener.port, gateway, clock, finished, rejections, stepsFinished, strays },
    get retained() {
      return retained;
    },
    fetch: (path, init) => fetch(url + path, { redirect: "manual", decompress: false, ...init }),
    connect: (text) => RawClient.connect(listener.port, text),
    ended: (count) =>
      finished.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => void waiting.push({ count, resolve })),
    [Symbol.dispose]() {
      listener.stop(true);
      server.destroy();
      for (const close of closers) close();
    },
  };
}

const CONNECTION: ConnectionFacts = {
  socketAddress: "127.0.0.1",
  socketPort: 4711,
  peerAddress: "203.0.113.7",
  peerPort: 4711,
  localAddress: "192.0.2.1",
  localPort: 80,
  tls: undefined,
};

const ANY: MatchConfig = { hosts: [], path: undefined, methods: [], headers: [], query: [] };

function routeConfig({ path, match, action }: TestRoute, index: number): RouteConfig {
  return {
    name: `routes[${index}]`,
    match: { ...ANY, path, ...match },
    rewrite: undefined,
    steps: [],
    action: action ?? { kind: "upstream", upstream: "u" },
    place: PLACE,
  };
}

function readyStep(given: TestStep | StepHandler, index: number): ReadyStep {
  const step = typeof given === "function" ? { handle: given } : given;
  const plugin = step.name ?? `step-${index}`;
  const { handle, formatError } = step;
  const instance: PluginInstance = {
    handle: handle as MiddlewareHandler,
    ...(formatError !== undefined && { formatError }),
  };
  const definition = definePlugin({
    apiVersion: 1,
    name: plugin,
    description: "A step of a test.",
    schema: z.strictObject({}),
    setup: () => instance,
  });
  const config: StepConfig = {
    ...{ key: `test[${index}]`, id: undefined, plugin, definition, options: {} },
    when:
      step.when === undefined
        ? undefined
        : { ...ANY, consumers: [], tenants: [], protocols: [], not: undefined, ...step.when },
    onError: step.onError ?? "fail",
    timeout: step.timeout ?? 10_000,
    place: PLACE,
    placeOf: () => PLACE,
  };
  return { config, instance };
}

function configOf(
  url: string,
  { maxConnections = 64, timeouts }: Pick<TestGatewayOptions, "maxConnections" | "timeouts">,
): UpstreamConfig {
  return upstreamConfig({
    name: "u",
    targets: [targetAt(url)],
    timeouts: { connect: 5_000, firstByte: 60_000, idle: 300_000, request: undefined, ...timeouts },
    pool: { maxConnections, idleTimeout: 60_000, maxAge: undefined, maxPending: 64 },
  });
}

function ignore(): void {}
