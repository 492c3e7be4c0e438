import { ConfigError, type Clock, type PluginInstance, type Services } from "sluice/plugin";
import type { Problem } from "../../config/index.ts";
import type { RouteConfig, StepConfig } from "../../config/types.ts";
import type { ReadyStep } from "../pipeline/types.ts";
import { withinTime } from "../services/within-time.ts";

/** How long one step's `setup` may take, milliseconds. */
const SETUP_TIMEOUT_MS = 30_000;
/** How long one step's `close` is waited for: those after it must have their turn before the process ends. */
const CLOSE_TIMEOUT_MS = 3_000;

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
  /** Fires when a setup that has not ended is not waited for any longer. */
  readonly signal?: AbortSignal | undefined;
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
    for (const { config, instance } of [...ready.values()].reverse())
      await closeInstance(config, instance, options);
  };

  const failed = new Set<string>();
  for (const config of routes.flatMap((route) => route.steps)) {
    if (ready.has(config.key) || failed.has(config.key)) continue;
    try {
      ready.set(config.key, { config, instance: await setUpInTime(config, options) });
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

/** An instance that comes too late is closed when it comes: nobody else knows of it. */
function setUpInTime(config: StepConfig, options: SetupOptions): Promise<PluginInstance> {
  const work = setUp(config, options.services(config));
  const { signal } = options;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted === true) abort();
  const soon = Promise.race([work, aborted]);
  const inTime = withinTime(options.clock, soon, SETUP_TIMEOUT_MS, () => {
    return new ConfigError(`its setup did not end within ${SETUP_TIMEOUT_MS / 1000} s`);
  });
  return inTime
    .catch((error: unknown) => {
      work.then((late) => closeInstance(config, late, options)).catch(ignore);
      throw error;
    })
    .finally(() => signal?.removeEventListener("abort", abort));
}

async function setUp(config: StepConfig, services: Services): Promise<PluginInstance> {
  const instance: unknown = await config.definition.setup(config.options, services);
  if (!isInstance(instance))
    throw new ConfigError(
      "its setup must answer an object with a `handle` function, as a Hono middleware is",
    );
  return instance;
}

/** Never rejects. */
async function closeInstance(
  config: StepConfig,
  instance: PluginInstance,
  { clock, closeFailed }: SetupOptions,
): Promise<void> {
  try {
    const closing = instance.close?.();
    if (closing === undefined) return;
    const late = (): Error => new Error(`its close did not end within ${CLOSE_TIMEOUT_MS / 1000} s`);
    await withinTime(clock, Promise.resolve(closing), CLOSE_TIMEOUT_MS, late);
  } catch (error) {
    closeFailed(config, error);
  }
}

function isInstance(value: unknown): value is PluginInstance {
  return (
    typeof value === "object" && value !== null && "handle" in value && typeof value.handle === "function"
  );
}

function problemOf(step: StepConfig, error: unknown): Problem {
  // A plugin in JavaScript may have given it anything.
  const path = error instanceof ConfigError && Array.isArray(error.path) ? error.path : [];
  const message = messageOf(error);
  return {
    severity: "error",
    place: step.placeOf(path),
    path: [step.key, step.plugin, ...path].join("."),
    message: `plugin "${step.plugin}" refuses its configuration: ${message}`,
  };
}

/** What was thrown, in words; it may be anything. */
function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return "it threw what cannot be shown";
  }
}

/** Its setup has failed already, and was told of. */
function ignore(): void {}
