import { AsyncLocalStorage } from "node:async_hooks";
import type { AnyPlugin } from "sluice/plugin";
import type { GatewayExchange } from "../pipeline/types.ts";
import { bundlesInStack } from "./stack-positions.ts";

/** A third party's code at work: one request inside one step, or a step outside of any request (`setup`). */
export interface PluginRun {
  /** The plugin's name in YAML. */
  readonly plugin: string;
  /** The step's stable name. */
  readonly step: string;
  readonly exchange: GatewayExchange | undefined;
}

/** Where a failure that nobody waited for came from, as far as it can be told. */
export interface Origin {
  readonly plugin: string;
  readonly run: PluginRun | undefined;
}

const current = new AsyncLocalStorage<PluginRun | undefined>();

// Only timers still have their context when a failure surfaces; a rejection has lost it by then. So errors that
// a plugin constructs note at once whose they are.
const noted = new WeakMap<object, PluginRun>();

/** Requests inside a plugin's steps, by the plugin. */
const inside = new Map<string, Set<PluginRun>>();

/** Names of plugins by the hashes of their bundles, for failures that only their stacks place. */
const pluginsByHash = new Map<string, string>();

const hashes = new WeakMap<AnyPlugin, string>();

/** Runs a plugin's code so that what it leaves behind (timers, promises) can be traced to the run. */
export function runInside<T>(run: PluginRun, code: () => T): T {
  return current.run(run, code);
}

/** Runs the gateway's code in the middle of a plugin's: what it leaves behind is no longer the plugin's. */
export function runOutside<T>(code: () => T): T {
  return current.run(undefined, code);
}

/** A request enters a step; answers the function for its leaving. */
export function enter(run: PluginRun): () => void {
  let runs = inside.get(run.plugin);
  if (runs === undefined) {
    runs = new Set();
    inside.set(run.plugin, runs);
  }
  runs.add(run);
  return () => {
    runs.delete(run);
    if (runs.size === 0 && inside.get(run.plugin) === runs) inside.delete(run.plugin);
  };
}

/** Notes from which bundle a definition came. */
export function noteBundle(definition: AnyPlugin, hash: string): void {
  hashes.set(definition, hash);
}

/** Says what the plugin of a definition is called, so that frames of its bundle are known as its own. */
export function nameBundle(definition: AnyPlugin, plugin: string): void {
  const hash = hashes.get(definition);
  if (hash !== undefined) pluginsByHash.set(hash, plugin);
}

export function forgetBundle(hash: string): void {
  pluginsByHash.delete(hash);
}

/**
 * Whose failure this is. Known for certain when a plugin constructed the error, or when it surfaces in a timer
 * that a plugin set; otherwise the stack names the plugin, and the request is taken to be the one that is
 * inside that plugin's steps if there is exactly one.
 */
export function originOf(error: unknown): Origin | undefined {
  const run =
    (typeof error === "object" && error !== null ? noted.get(error) : undefined) ?? current.getStore();
  if (run !== undefined) return { plugin: run.plugin, run };
  for (const hash of bundlesInStack(error)) {
    const plugin = pluginsByHash.get(hash);
    if (plugin === undefined) continue;
    const runs = inside.get(plugin);
    const only = runs?.size === 1 ? runs.values().next().value : undefined;
    return { plugin, run: only };
  }
  return undefined;
}

const NATIVE_ERRORS = {
  Error,
  AggregateError,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
} as const;

type Constructor = new (...values: unknown[]) => Error;

/**
 * The native error classes as a plugin's bundle sees them. They construct the native ones, whose prototypes
 * and static members they share, so that `instanceof` and subclasses work; and each error that is constructed
 * through them notes the current run.
 */
export const NOTING_ERRORS: Readonly<Record<string, Constructor>> = Object.freeze(
  Object.fromEntries(
    Object.entries(NATIVE_ERRORS).map(([name, native]) => [name, noting(name, native as Constructor)]),
  ),
);

function noting(name: string, native: Constructor): Constructor {
  // A function and not a class: the native ones may be called without `new`. Not a Proxy either, which would
  // stand in every stack.
  function construct(this: unknown, ...values: unknown[]): Error {
    const error = Reflect.construct(native, values, new.target ?? native) as Error;
    // The stack begins where the plugin said `new Error`, not here.
    Error.captureStackTrace(error, construct);
    const run = current.getStore();
    if (run !== undefined) noted.set(error, run);
    return error;
  }
  Object.setPrototypeOf(construct, native);
  Object.defineProperties(construct, { name: { value: name }, prototype: { value: native.prototype } });
  return construct as unknown as Constructor;
}
