import { nearest } from "sluice/plugin";
import { checkAddresses, checkReachable, checkStepNames, checkUnique, textsOf } from "./cross-checks.ts";
import type { ConfigDocument } from "./document.ts";
import { deepFreeze } from "./freeze.ts";
import { ITEM_NAME, ITEM_NAME_EXPECTED } from "./names.ts";
import {
  child,
  type ConfigNode,
  entriesOf,
  formatPath,
  itemsOf,
  type MappingEntry,
  type MappingNode,
  type Path,
  textOf,
  isFailed,
} from "./node.ts";
import { Pipelines } from "./pipelines.ts";
import { NOT_AVAILABLE } from "./planned.ts";
import { type Problem, Problems } from "./problem.ts";
import { readNode } from "./read-node.ts";
import { type ReadRoute, RouteReader } from "./read-route.ts";
import type { PluginRegistry } from "./registry.ts";
import { GENERAL, readAdmin, readLog, readTrustedProxies } from "./schema-general.ts";
import { defaultListener, readListener } from "./schema-listener.ts";
import { readUpstream } from "./upstream/upstream.ts";
import type { Scope } from "./scope.ts";
import { rememberSecrets } from "./secret-values.ts";
import { describe } from "./secrets.ts";
import { type StepItem, StepReader } from "./steps.ts";
import type { AdminConfig, Config, ListenerConfig, UpstreamConfig } from "./types.ts";

/** Every key of the top level. */
export const TOP_LEVEL: readonly string[] = [
  ...Object.keys(GENERAL),
  "include",
  "listeners",
  "plugins",
  "upstreams",
  "pipelines",
  "routes",
];

export type Validation =
  | { readonly config: Config; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] };

/**
 * Checks a whole document and makes the frozen Config of it, or answers every error there is, sorted by place.
 *
 * @param registry built-in plugins and those of `document.externalPlugins`, loaded.
 * @param found problems from loading them; they are sorted in, and any error among them refuses the document.
 */
export function validateDocument(
  document: ConfigDocument,
  registry: PluginRegistry,
  found: readonly Problem[] = [],
): Validation {
  const problems = new Problems();
  for (const problem of [...document.problems, ...found]) problems.add(problem);
  const files = new Set(document.files);
  for (const plugin of document.externalPlugins) files.add(plugin.path);
  const config =
    document.root === undefined
      ? undefined
      : new Validator(document, document.root, { problems, files }).config(registry);
  const order = [...files];
  const errors = problems.sorted("error", order);
  if (config === undefined || errors.length > 0) return { problems: errors };
  if (document.root !== undefined) rememberSecrets(config, document.root);
  return { config, warnings: problems.sorted("warning", order) };
}

interface Found<T> {
  readonly config: T;
  readonly node: ConfigNode;
  readonly path: Path;
}

class Validator {
  readonly #document: ConfigDocument;
  readonly #root: MappingNode;
  readonly #scope: Scope;
  readonly #problems: Problems;

  constructor(document: ConfigDocument, root: MappingNode, scope: Scope) {
    this.#document = document;
    this.#root = root;
    this.#scope = scope;
    this.#problems = scope.problems;
  }

  /** Reads every section, whatever the others hold; undefined where a part of the Config is missing. */
  config(registry: PluginRegistry): Config | undefined {
    this.#topLevel();
    const trustedProxies = readTrustedProxies(this.#at("trusted_proxies"), this.#scope);
    const listeners = this.#listeners();
    const admin = this.#admin();
    this.#addresses(listeners, admin);
    this.#proxyProtocol();
    const log = readLog(this.#at("log"), this.#scope);
    const shutdownTimeout = this.#shutdownTimeout();
    this.#pluginSources();
    const upstreams = this.#upstreams();
    const routes = this.#routes(registry);
    if (trustedProxies === undefined || log === undefined || shutdownTimeout === undefined) return undefined;
    const { externalPlugins, file } = this.#document;
    return deepFreeze<Config>({
      file,
      files: [...this.#scope.files],
      listeners: listeners.map(({ config }) => config),
      trustedProxies,
      admin: admin?.config,
      log,
      shutdownTimeout,
      plugins: externalPlugins.map(({ name, source, path }) => ({ name, source, path })),
      upstreams,
      routes: routes.flatMap(({ config }) => config ?? []),
    });
  }

  #at(key: string): ConfigNode | undefined {
    return child(this.#root, key);
  }

  #topLevel(): void {
    for (const { key, keyPlace } of this.#root.entries) {
      if (key === "telemetry" || key === "prices") this.#problems.error(keyPlace, key, NOT_AVAILABLE);
      if (TOP_LEVEL.includes(key)) continue;
      const suggestion = nearest(key, TOP_LEVEL);
      const known = TOP_LEVEL.toSorted().map((name) => JSON.stringify(name));
      const message = `unknown key ${JSON.stringify(key)}`;
      if (suggestion !== undefined)
        this.#problems.error(keyPlace, formatPath([key]), message, { suggestion });
      else
        this.#problems.error(keyPlace, formatPath([key]), `${message}, expected one of ${known.join(", ")}`);
    }
    for (const key of ["version", "workers", "store"] as const) {
      const node = this.#at(key);
      if (node !== undefined) readNode(GENERAL[key], node, [key], this.#problems);
      else if (key === "version") this.#problems.error(this.#root.place, key, "is missing, expected 1");
    }
  }

  // Every name of such a section would be called unknown as well.
  #isSectionMisspelt(): boolean {
    return this.#root.entries.some(({ key }) => {
      const meant = TOP_LEVEL.includes(key) ? undefined : nearest(key, TOP_LEVEL);
      return meant !== undefined && ["plugins", "upstreams", "pipelines", "routes"].includes(meant);
    });
  }

  #shutdownTimeout(): number | undefined {
    const node = this.#at("shutdown_timeout");
    const schema = GENERAL.shutdown_timeout;
    if (node === undefined) return schema.parse(undefined);
    return readNode(schema, node, ["shutdown_timeout"], this.#problems)?.value;
  }

  #listeners(): Found<ListenerConfig>[] {
    const node = this.#at("listeners");
    const path: Path = ["listeners"];
    if (node === undefined) return [{ config: defaultListener(this.#root.place), node: this.#root, path }];
    return this.#list(node, path, "a list of listeners").flatMap(([item, at]) => {
      const config = readListener(item, at, this.#scope);
      return config === undefined
        ? []
        : [{ config, node: child(item, "address") ?? item, path: [...at, "address"] }];
    });
  }

  #admin(): Found<AdminConfig> | undefined {
    const node = this.#at("admin");
    const config = node === undefined ? undefined : readAdmin(node, this.#scope);
    if (node === undefined || config === undefined) return undefined;
    return { config, node: child(node, "address") ?? node, path: ["admin", "address"] };
  }

  #addresses(listeners: readonly Found<ListenerConfig>[], admin: Found<AdminConfig> | undefined): void {
    const all = admin === undefined ? listeners : [...listeners, admin];
    checkAddresses(
      all.map(({ config, node, path }) => ({ address: config.address, place: node.place, path })),
      this.#problems,
    );
  }

  // Whoever may not send the PROXY header is refused, so with nobody trusted every connection is.
  #proxyProtocol(): void {
    const trusted = this.#at("trusted_proxies");
    if (trusted !== undefined && (trusted.kind !== "sequence" || trusted.items.length > 0)) return;
    for (const [index, item] of itemsOf(this.#at("listeners")).entries()) {
      const flag = child(item, "proxy_protocol");
      if (flag?.kind !== "scalar" || flag.value !== true) continue;
      const message = "trusted_proxies is empty, so that every connection would be refused";
      this.#problems.error(flag.place, formatPath(["listeners", index, "proxy_protocol"]), message);
    }
  }

  #pluginSources(): void {
    for (const [{ value }, path] of this.#named("plugins", "a mapping of names to files or packages")) {
      if (isFailed(value)) continue;
      const written = textOf(value);
      if (written !== undefined && written !== "") continue;
      const message = `expected the path of a .ts or .js file, or a package, got ${describe(value, path)}`;
      this.#problems.error(value.place, formatPath(path), message);
    }
  }

  #upstreams(): UpstreamConfig[] {
    return this.#named("upstreams", "a mapping of names to upstreams").flatMap(
      ([{ key, value }, path]) => readUpstream(key, value, path, this.#scope) ?? [],
    );
  }

  #routes(registry: PluginRegistry): ReadRoute[] {
    const complete = this.#document.complete && !this.#isSectionMisspelt();
    const declared = entriesOf(this.#at("plugins")).map(({ key }) => key);
    const steps = new StepReader(registry, declared, complete, this.#scope);
    const items = new Map<string, readonly StepItem[]>();
    const named = this.#named("pipelines", "a mapping of names to lists of steps");
    for (const [{ key, value }, path] of named) items.set(key, steps.read(value, path, key));
    const pipelines = new Pipelines(items, complete, this.#problems);
    const upstreams = new Set(entriesOf(this.#at("upstreams")).map(({ key }) => key));
    const reader = new RouteReader({ scope: this.#scope, steps, pipelines, upstreams, complete });

    const node = this.#at("routes");
    if (node === undefined && complete) {
      this.#problems.error(this.#root.place, "routes", "is missing, expected a list of routes");
    }
    const listed = node === undefined ? [] : this.#list(node, ["routes"], "a list of routes");
    const routes = listed.map(([item], index) => reader.read(item, index));

    checkUnique(
      routes.map((route) => route.title),
      "route name",
      this.#problems,
    );
    checkReachable(routes, this.#problems);
    const all = [...[...items.values()].flat(), ...routes.flatMap((route) => route.items)];
    checkStepNames(all, this.#problems);
    this.#unused(named, routes, pipelines, all);
    this.#unloaded(steps);
    return routes;
  }

  #unused(
    named: readonly (readonly [MappingEntry, Path])[],
    routes: readonly ReadRoute[],
    pipelines: Pipelines,
    items: readonly StepItem[],
  ): void {
    for (const [{ key, keyPlace }, path] of named) {
      if (!pipelines.isUsed(key))
        this.#problems.warn(keyPlace, formatPath(path), "no route uses this pipeline");
    }
    const used = new Set(routes.map(({ upstream }) => upstream));
    const texts = textsOf(items);
    for (const { key, keyPlace } of entriesOf(this.#at("upstreams"))) {
      if (used.has(key) || texts.has(key)) continue;
      this.#problems.warn(keyPlace, formatPath(["upstreams", key]), "no route uses this upstream");
    }
  }

  // Who loads the plugins reports those that fail. A plugin that nobody even tried to load must not pass.
  #unloaded(steps: StepReader): void {
    if (this.#problems.errorCount > 0) return;
    for (const { name, place, path } of steps.unloaded) {
      this.#problems.error(place, formatPath(path), `plugin ${JSON.stringify(name)} was not loaded`);
    }
  }

  #list(node: ConfigNode, path: Path, what: string): [ConfigNode, Path][] {
    if (node.kind === "sequence" && node.items.length > 0) {
      return node.items.map((item, index) => [item, [...path, index]]);
    }
    if (!isFailed(node)) {
      this.#problems.error(node.place, formatPath(path), `expected ${what}, got ${describe(node, path)}`);
    }
    return [];
  }

  /** The entries of a mapping of named things, the names checked. */
  #named(section: string, what: string): [MappingEntry, Path][] {
    const node = this.#at(section);
    if (node === undefined) return [];
    if (node.kind !== "mapping") {
      if (!isFailed(node)) {
        this.#problems.error(node.place, section, `expected ${what}, got ${describe(node, [section])}`);
      }
      return [];
    }
    return node.entries.map((entry) => {
      const path: Path = [section, entry.key];
      // Names of plugins were checked when their files were looked for.
      if (section !== "plugins" && !ITEM_NAME.test(entry.key)) {
        const message = `expected ${ITEM_NAME_EXPECTED}, got ${JSON.stringify(entry.key)}`;
        this.#problems.error(entry.keyPlace, formatPath(path), message);
      }
      return [entry, path];
    });
  }
}
