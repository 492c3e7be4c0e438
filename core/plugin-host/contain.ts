import {
  type AnyPlugin,
  definePlugin,
  type Exchange,
  exchangeOf,
  type PluginInstance,
  type Services,
  SluiceError,
} from "sluice/plugin";
import type { GatewayExchange } from "../pipeline/types.ts";
import { enter, nameBundle, type PluginRun, runInside, runOutside } from "./attribution.ts";
import { restorePositions } from "./stack-positions.ts";

/**
 * A third party's definition under its name in YAML. Its code runs where stray failures can be traced to it,
 * the stacks of what it throws name its own files and lines, and what its `setup` answers is checked.
 */
export function contained(definition: AnyPlugin, name: string): AnyPlugin {
  nameBundle(definition, name);
  return definePlugin({
    ...definition,
    name,
    async setup(config, services: Services) {
      const run: PluginRun = { plugin: name, step: services.step, exchange: undefined };
      const instance = await watched(run, async () => definition.setup(config, services));
      return containedInstance(checkedInstance(instance), run);
    },
  });
}

function containedInstance(instance: PluginInstance, idle: PluginRun): PluginInstance {
  const { plugin, step } = idle;
  const at = (exchange: Exchange): PluginRun => ({
    plugin,
    step,
    // The gateway makes every exchange that reaches a step.
    exchange: exchange as GatewayExchange,
  });
  return {
    async handle(c, next) {
      const run = at(exchangeOf(c));
      const leave = enter(run);
      try {
        return await runInside(run, () => instance.handle(c, () => runOutside(next)));
      } catch (error) {
        throw restored(error);
      } finally {
        leave();
      }
    },
    async close() {
      await watched(idle, async () => instance.close?.());
    },
    ...(instance.formatError !== undefined && {
      formatError: (exchange, error) =>
        runInside(at(exchange), () => instance.formatError?.(exchange, error)),
    }),
  };
}

async function watched<T>(run: PluginRun, code: () => Promise<T>): Promise<T> {
  try {
    return await runInside(run, code);
  } catch (error) {
    throw restored(error);
  }
}

function restored(error: unknown): unknown {
  if (!isRefusal(error)) restorePositions(error);
  return error;
}

/** An answer that the plugin meant to give, ours or Hono's: nobody reads its stack, and making one costs more than it. */
function isRefusal(error: unknown): boolean {
  if (error instanceof SluiceError) return error.cause === undefined;
  return error instanceof Error && "getResponse" in error;
}

/** @throws TypeError saying what a plugin's `setup` answered instead of an instance */
function checkedInstance(instance: unknown): PluginInstance {
  const what = (problem: string) => new TypeError(`its setup ${problem}`);
  if (typeof instance === "function")
    throw what("answered a function; answer { handle: … } with the middleware in it");
  if (typeof instance !== "object" || instance === null)
    throw what(`answered ${String(instance)}; answer { handle }`);
  const { handle, close, formatError } = instance as Partial<Record<keyof PluginInstance, unknown>>;
  if (typeof handle !== "function") throw what("answered no handle function");
  for (const [key, value] of Object.entries({ close, formatError }))
    if (value !== undefined && typeof value !== "function")
      throw what(`answered a ${key} that is no function`);
  return instance as PluginInstance;
}
