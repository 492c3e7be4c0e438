import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AnyPlugin, Services } from "sluice/plugin";
import { formatProblem, type Problem, readDocument, validateDocument } from "../../config/index.ts";
import type { Config } from "../../config/types.ts";
import { createForwarder } from "../forward/forwarder.ts";
import { openListener } from "../listener/listener.ts";
import { composeRoute } from "../pipeline/compose.ts";
import { createDeadlineSweep } from "../pipeline/deadline-sweep.ts";
import { createGateway } from "../pipeline/gateway.ts";
import { compileRouter } from "../pipeline/router.ts";
import { compileTrust } from "../net/trusted-proxies.ts";
import type { Observer } from "../pipeline/types.ts";
import { terminalOf } from "../runtime/generation.ts";
import { setUpSteps } from "../runtime/setup-steps.ts";
import { createUpstreams } from "../upstream/index.ts";
import { type FakeUpstream, fakeUpstream } from "./fake-upstream.ts";
import { createTestServices } from "./test-services.ts";

/** A request of a test. */
export interface TestRequest {
  /** @default "GET" */
  readonly method?: string;
  /** Path and query. @default "/" */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

export interface PluginTestOptions {
  /** Where requests go. @default one that answers 200 "ok" */
  readonly upstream?: FakeUpstream;
  /** What the plugin gets, and what the gateway takes time from. @default `createTestServices()` */
  readonly services?: Services;
  /** What stands in YAML beside the plugin: `when`, `on_error`, `timeout`, `id`. */
  readonly step?: Readonly<Record<string, unknown>>;
  /** What stands in YAML in its route: `rewrite`, another `match`. */
  readonly route?: Readonly<Record<string, unknown>>;
  /** `trusted_proxies`; the test's own requests come from 127.0.0.1. @default none */
  readonly trustedProxies?: readonly string[];
}

/** A gateway of one route and one step on a free port of the loopback. */
export interface RunningPlugin extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly upstream: FakeUpstream;
  /** Errors of the plugin that clients see as `plugin_failed`, and failures that nobody waited for. */
  readonly failures: readonly unknown[];
  /** Sends a request over a socket. No redirect is followed and nothing is decoded. */
  request(request?: TestRequest): Promise<Response>;
  close(): Promise<void>;
}

/**
 * Runs a plugin in the real gateway: its options pass the configuration's checks, its requests the pipeline.
 * @throws Error with what `sluice validate` would say of the options, or of what `setup` refuses
 */
export async function startPlugin(
  definition: AnyPlugin,
  options: unknown,
  {
    upstream: given,
    services = createTestServices(),
    step = {},
    route = {},
    trustedProxies = [],
  }: PluginTestOptions = {},
): Promise<RunningPlugin> {
  const { clock, random, log } = services;
  const failures: unknown[] = [];
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).reverse()) await one();
  };
  try {
    const upstream = given ?? (await fakeUpstream(() => new Response("ok")));
    if (given === undefined) closers.push(() => upstream.close());
    const config = await configOf(definition, options, { upstream, step, route, trustedProxies });
    const upstreams = createUpstreams(config.upstreams, {
      clock,
      random,
      log,
      keep(_key, create, closeKept) {
        const value = create();
        closers.push(() => closeKept?.(value));
        return value;
      },
    });
    const setup = await setUpSteps(config.routes, {
      clock,
      services: ({ key }) => ({ ...services, upstreams: upstreams.views, step: key }),
      closeFailed: (_, error) => failures.push(error),
    });
    if (!setup.ok) throw refusal(setup.problems);
    const { steps } = setup;
    closers.push(() => steps.close());

    const observer: Observer = {
      started: ignore,
      tried: ignore,
      retried: ignore,
      finished({ record: { failure } }) {
        if (failure?.owner === "plugin") failures.push(failure.cause ?? failure);
      },
      rejected: ignore,
      stepFinished: ignore,
      strayFailure: (_, error) => failures.push(error),
    };
    const forwarder = createForwarder({ upstreams, observer, clock, random, log, pseudonym: "test" });
    const sweep = createDeadlineSweep(clock);
    const router = compileRouter(config.routes);
    const routes = config.routes.map((one) =>
      composeRoute(one, steps.of(one), terminalOf(one, forwarder), { clock, observer, sweep }),
    );
    const trusts = compileTrust(config.trustedProxies);
    const generation = {
      match: (facts: Parameters<typeof router.match>[0]) => routes[router.match(facts)],
      trusts,
      retain: ignore,
      release: ignore,
    };
    const gateway = createGateway({
      current: () => generation,
      ready: () => true,
      observer,
      clock,
      random,
      pseudonym: "sluice",
    });
    const [listening] = config.listeners;
    const listener = await openListener({
      ...listening!,
      tls: undefined,
      trusts,
      handler: gateway,
      clock,
      log,
      onEvent: ignore,
    });
    closers.push(() => listener.close());
    const url = `http://${listener.address}`;
    return {
      url,
      upstream,
      failures,
      request: ({ path = "/", ...init } = {}) =>
        fetch(url + path, { redirect: "manual", decompress: false, ...init }),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One request through a plugin; see {@link startPlugin}. The answer's body is in memory. */
export async function runPlugin(
  definition: AnyPlugin,
  options: unknown,
  request: TestRequest = {},
  settings: PluginTestOptions = {},
): Promise<Response> {
  await using running = await startPlugin(definition, options, settings);
  const answer = await running.request(request);
  await answer.clone().arrayBuffer();
  return answer;
}

interface Written extends Required<Pick<PluginTestOptions, "step" | "route" | "trustedProxies">> {
  readonly upstream: FakeUpstream;
}

async function configOf(definition: AnyPlugin, options: unknown, written: Written): Promise<Config> {
  const { upstream, step, route, trustedProxies } = written;
  const directory = await mkdtemp(join(tmpdir(), "sluice-plugin-"));
  try {
    const file = join(directory, "sluice.yaml");
    const content = {
      version: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      trusted_proxies: trustedProxies,
      upstreams: { upstream: { protocol: upstream.protocol, targets: [upstream.url] } },
      routes: [
        {
          ...{ match: { path: "/*" }, pipeline: [{ [definition.name]: options, ...step }] },
          ...{ upstream: "upstream", ...route },
        },
      ],
    };
    // YAML is a superset of JSON.
    await writeFile(file, JSON.stringify(content, null, 2));
    const registry = {
      get: (name: string) => (name === definition.name ? definition : undefined),
      names: [definition.name],
    };
    const outcome = validateDocument(await readDocument(file, {}), registry);
    if ("problems" in outcome) throw refusal(outcome.problems);
    return outcome.config;
  } finally {
    await rm(directory, { recursive: true });
  }
}

function refusal(problems: readonly Problem[]): Error {
  // Without the place, which is in a file that nobody wrote.
  return new Error(
    problems.map((problem) => formatProblem(problem).replace(/^.*?:\d+:\d+: /, "")).join("\n"),
  );
}

function ignore(): void {}
