import type { MiddlewareHandler } from "hono";
import type { z } from "zod";
import type { SluiceError } from "./errors.ts";
import type { Exchange, ExchangeResponse } from "./exchange.ts";
import type { Services } from "./services.ts";

/** The version of the plugin contract that this gateway speaks. */
export const API_VERSION = 1;

/** What `setup` answers: one step of one pipeline, alive from one reload to the next. */
export interface PluginInstance {
  /** A Hono middleware: Hono's own and those of npm fit as they are. */
  readonly handle: MiddlewareHandler;
  /** Frees what the step holds; steps are closed in reverse order at reload and shutdown. */
  close?(): void | Promise<void>;
  /**
   * Puts a refusal into the dialect of this route's callers (the error body of an API they know). Asked for
   * every error of a route that has this step, also for refusals by steps above it; undefined leaves it.
   */
  formatError?(exchange: Exchange, error: SluiceError): ExchangeResponse | undefined;
}

export interface PluginDefinition<Schema extends z.ZodType = z.ZodType> {
  /** The contract's version; see {@link API_VERSION}. */
  readonly apiVersion: number;
  /** kebab-case; the key in YAML. */
  readonly name: string;
  /** One sentence for `sluice plugins`. */
  readonly description: string;
  /** Options in YAML. Strict objects with every field described: types, checks, docs and JSON Schema in one. */
  readonly schema: Schema;
  /** True when a step of this plugin supplies candidates, so that its route may do without `upstream`. */
  readonly providesCandidates?: boolean;
  /**
   * Runs once a step and a reload, before the step takes requests.
   * @throws ConfigError to refuse the configuration at its place; anything else refuses the reload as well.
   */
  setup(config: z.output<Schema>, services: Services): PluginInstance | Promise<PluginInstance>;
}

/** A definition whose option types are no longer known, as the registry holds it. */
export interface AnyPlugin {
  readonly apiVersion: number;
  readonly name: string;
  readonly description: string;
  readonly schema: z.ZodType;
  readonly providesCandidates?: boolean;
  setup(config: unknown, services: Services): PluginInstance | Promise<PluginInstance>;
}

const MADE_HERE: unique symbol = Symbol.for("sluice.plugin.definition");

/**
 * Declares a plugin; the file's default export is what this answers. The type of `config` follows from the
 * schema, the type of `c` is Hono's.
 */
export function definePlugin<Schema extends z.ZodType>(
  definition: PluginDefinition<Schema>,
): PluginDefinition<Schema> {
  return Object.freeze({ ...definition, [MADE_HERE]: true });
}

/** Whether `definePlugin` made this value. */
export function isPluginDefinition(value: unknown): value is AnyPlugin {
  return (
    typeof value === "object" && value !== null && (value as { [MADE_HERE]?: unknown })[MADE_HERE] === true
  );
}
