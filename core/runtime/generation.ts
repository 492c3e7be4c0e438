import { ConfigError } from "sluice/plugin";
import type { Problem } from "../../config/index.ts";
import { formatPath, placeAt } from "../../config/node.ts";
import type { RouteConfig } from "../../config/types.ts";
import { createForwarder, type Forwarder } from "../forward/forwarder.ts";
import { composeRoute } from "../pipeline/compose.ts";
import type { DeadlineSweep } from "../pipeline/deadline-sweep.ts";
import type { Generation } from "../pipeline/generation.ts";
import type { Terminal } from "../pipeline/pipeline-run.ts";
import { compileRewrite } from "../pipeline/rewrite.ts";
import { compileRouter, type Router, type RouteFacts } from "../pipeline/router.ts";
import { compileAnswer } from "../pipeline/terminal-respond.ts";
import { compileTrust, type Trust } from "../net/trusted-proxies.ts";
import type { Observer, ReadyRoute } from "../pipeline/types.ts";
import type { Keep, KeepScope } from "../services/keep.ts";
import { createUpstreams, type LookUp, type UpstreamEvents, type UpstreamSet } from "../upstream/index.ts";
import type { LoadedConfig } from "./load.ts";
import { setUpSteps, type StepSet } from "./setup-steps.ts";
import { type SharedServices, stepServices } from "./step-services.ts";

export interface GenerationServices extends SharedServices {
  readonly keep: Keep;
  readonly observer: Observer;
  readonly sweep: DeadlineSweep;
  readonly upstreamEvents: UpstreamEvents;
  /** How names of targets are looked up. @default by the network */
  readonly lookUp?: LookUp;
  /** Names this instance in `Via`. */
  readonly pseudonym: string;
}

export type BuildOutcome =
  | { readonly ok: true; readonly generation: RunningGeneration }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** One configuration at work: its routes, steps and upstreams, from a reload until its last request has ended. */
export class RunningGeneration implements Generation {
  readonly number: number;
  readonly loaded: LoadedConfig;
  readonly upstreams: UpstreamSet;
  readonly trusts: Trust;
  readonly #router: Router;
  readonly #routes: readonly ReadyRoute[];
  readonly #steps: StepSet;
  readonly #scope: KeepScope;
  readonly #services: GenerationServices;
  #requests = 0;
  #retired: PromiseWithResolvers<void> | undefined;

  constructor(
    number: number,
    loaded: LoadedConfig,
    parts: { upstreams: UpstreamSet; routes: readonly ReadyRoute[]; steps: StepSet; scope: KeepScope },
    services: GenerationServices,
  ) {
    this.number = number;
    this.loaded = loaded;
    this.upstreams = parts.upstreams;
    this.trusts = compileTrust(loaded.config.trustedProxies);
    this.#routes = parts.routes;
    this.#router = compileRouter(loaded.config.routes);
    this.#steps = parts.steps;
    this.#scope = parts.scope;
    this.#services = services;
  }

  match(facts: RouteFacts): ReadyRoute | undefined {
    return this.#routes[this.#router.match(facts)];
  }

  retain(): void {
    this.#requests++;
  }

  release(): void {
    if (--this.#requests === 0 && this.#retired !== undefined) void this.#close();
  }

  /** Requests under way. */
  get requests(): number {
    return this.#requests;
  }

  /** No new request will come. Resolves once the last one has ended and everything is closed. */
  retire(): Promise<void> {
    if (this.#retired === undefined) {
      this.#retired = Promise.withResolvers();
      if (this.#requests === 0) void this.#close();
    }
    return this.#retired.promise;
  }

  async #close(): Promise<void> {
    await this.#steps.close();
    await this.#scope.release((key, error) => {
      this.#services.log.error({ key, err: error }, "kept state could not be closed");
    });
    this.loaded.release();
    this.#retired?.resolve();
  }
}

/** Makes a generation of a configuration; on failure nothing of it stays behind. */
export async function buildGeneration(
  number: number,
  loaded: LoadedConfig,
  services: GenerationServices,
  signal?: AbortSignal,
): Promise<BuildOutcome> {
  const { config } = loaded;
  const scope = services.keep.scope();
  const undo = async (problems: readonly Problem[]): Promise<BuildOutcome> => {
    await scope.release((key, error) =>
      services.log.error({ key, err: error }, "kept state could not be closed"),
    );
    return { ok: false, problems };
  };

  let upstreams: UpstreamSet;
  try {
    upstreams = createUpstreams(config.upstreams, {
      ...services,
      keep: (key, create, close) => scope.keep(key, create, close),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      await undo([]);
      throw error;
    }
    const root = loaded.document?.root;
    const place = root === undefined ? { file: config.file, line: 1, column: 1 } : placeAt(root, error.path);
    return undo([{ severity: "error", place, path: formatPath(error.path), message: error.message }]);
  }

  const setup = await setUpSteps(config.routes, {
    ...{ clock: services.clock, signal },
    services: (step) => stepServices(step, services, upstreams.views, scope),
    closeFailed: (step, error) =>
      services.log.error({ plugin: step.plugin, step: step.key, err: error }, "a plugin could not be closed"),
  });
  if (!setup.ok) return undo(setup.problems);

  const forwarder = createForwarder({ upstreams, ...services });
  const routes = config.routes.map((route) =>
    composeRoute(route, setup.steps.of(route), terminalOf(route, forwarder), services),
  );
  const parts = { upstreams, routes, steps: setup.steps, scope };
  loaded.forget();
  return { ok: true, generation: new RunningGeneration(number, loaded, parts, services) };
}

/** What stands at the end of a route's steps. */
export function terminalOf(route: RouteConfig, forwarder: Forwarder): Terminal {
  const { action, rewrite } = route;
  if (action.kind !== "upstream") return compileAnswer(action);
  if (rewrite === undefined) return (exchange) => forwarder.forward(exchange);
  const rewritten = compileRewrite(rewrite);
  return (exchange) => {
    exchange.request.path = rewritten(exchange.request.path);
    return forwarder.forward(exchange);
  };
}
