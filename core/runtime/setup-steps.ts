import { ConfigError, type Clock, type PluginInstance, type Services } from "sluice/plugin";
import type { Problem } from "../../config/index.ts";
import type { RouteConfig, StepConfig } from "../../config/types.ts";
import type { ReadyStep } from "../pipeline/types.ts";

/** How long one step's `setup` may take, milliseconds. */
const SETUP_TIMEOUT_MS = 30_000;

export interface StepSet {
  /** A route's steps, in order. */
  of(route: RouteConfig): readonly ReadyStep[];
  /** Closes every step, the last set up first. Failures are reported and do not stop the others. */
  close(): Promise<void>;
}

export type SetupOutcome =
  | { readonly ok: true; readonly steps: StepSet }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export interface SetupOptions {
  readonly clock: Clock;
  /** The services of a step. */
  services(step: StepConfig): Services;
  closeFailed(step: StepConfig, error: unknown): void;
}

/**
 * Sets up every step of every route; a step of a named pipeline once, however many routes use it. All steps are
 * tried, so that all errors are reported; where one fails, those that stand are closed again.
 */
export async function setUpSteps(
  routes: readonly RouteConfig[],
  options: SetupOptions,
): Promise<SetupOutcome> {
  const ready = new Map<string, ReadyStep>();
  const problems: Problem[] = [];
  const close = async (): Promise<void> => {
    for (const step of [...ready.values()].reverse()) {
      try {
        await step.instance.close?.();
      } catch (error) {
        options.closeFailed(step.config, error);
      }
    }
  };

  const failed = new Set<string>();
  for (const config of routes.flatMap((route) => route.steps)) {
    if (ready.has(config.key) || failed.has(config.key)) continue;
    try {
      const instance = await withinTime(options.clock, setUp(config, options.services(config)));
      ready.set(config.key, { config, instance });
    } catch (error) {
      failed.add(config.key);
      problems.push(problemOf(config, error));
    }
  }
  if (problems.length > 0) {
    await close();
    return { ok: false, problems };
  }
  return {
    ok: true,
    steps: {
      of: (route) =>
        route.steps.map((step) => {
          const found = ready.get(step.key);
          if (found === undefined) throw new Error(`step ${step.key} was not set up`);
          return found;
        }),
      close,
    },
  };
}

async function setUp(config: StepConfig, services: Services): Promise<PluginInstance> {
  const instance: unknown = await config.definition.setup(config.options, services);
  if (!isInstance(instance))
    throw new ConfigError(
      "its setup must answer an object with a `handle` function, as a Hono middleware is",
    );
  return instance;
}

function isInstance(value: unknown): value is PluginInstance {
  return (
    typeof value === "object" && value !== null && "handle" in value && typeof value.handle === "function"
  );
}

function withinTime<T>(clock: Clock, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimeout(
      () => reject(new ConfigError(`its setup did not end within ${SETUP_TIMEOUT_MS / 1000} s`)),
      SETUP_TIMEOUT_MS,
    );
    work.then(resolve, reject).finally(cancel);
  });
}

function problemOf(step: StepConfig, error: unknown): Problem {
  const path = error instanceof ConfigError ? error.path : [];
  const message = error instanceof Error ? error.message : String(error);
  return {
    severity: "error",
    place: step.placeOf(path),
    path: [step.key, step.plugin, ...path].join("."),
    message: `plugin "${step.plugin}" refuses its configuration: ${message}`,
  };
}
