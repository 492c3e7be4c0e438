import { z } from "zod";
import { type AnyPlugin, nearest } from "sluice/plugin";
import {
  type ConfigNode,
  type MappingEntry,
  type MappingNode,
  formatPath,
  itemsOf,
  type Path,
  placeAt,
  textOf,
  isFailed,
} from "./node.ts";
import { NOT_AVAILABLE, PLANNED_PLUGINS, STEP_KEYS } from "./planned.ts";
import { readNode } from "./read-node.ts";
import type { PluginRegistry } from "./registry.ts";
import { conditionOf, conditionSchema } from "./schema-match.ts";
import type { Scope } from "./scope.ts";
import { describe, describeNamed } from "./secrets.ts";
import type { Place, StepConfig } from "./types.ts";
import { duration, itemName, oneOf } from "./values.ts";

/** What may stand beside the plugin. */
export const stepShape = {
  id: itemName()
    .optional()
    .describe("Names the step in logs and the admin API; steps with an id keep their counters."),
  when: conditionSchema.optional().describe("Runs the step only for requests that match."),
  on_error: oneOf(["fail", "continue"])
    .prefault("fail")
    .describe("What a failure of the plugin does: end the request, or go on without the step."),
  timeout: duration().prefault("10s").describe("The step's own time, that of later steps excluded."),
};

const stepSchema = z.strictObject(stepShape);

/** An item of a pipeline as it stands in YAML. */
export type StepItem =
  | { readonly kind: "step"; readonly step: StepConfig; readonly path: Path; readonly options: ConfigNode }
  | { readonly kind: "use"; readonly name: string; readonly node: ConfigNode; readonly path: Path }
  /** Reported already; its plugin is not known. */
  | { readonly kind: "broken" };

/** Reads the steps of pipelines and routes, and checks each plugin's options by the plugin's own schema. */
export class StepReader {
  readonly #registry: PluginRegistry;
  readonly #declared: ReadonlySet<string>;
  readonly #complete: boolean;
  readonly #scope: Scope;
  /** Steps whose plugin `plugins` declares and the registry does not know. */
  readonly unloaded: { readonly name: string; readonly place: Place; readonly path: Path }[] = [];

  /**
   * @param declared the names in `plugins`.
   * @param complete false when files are missing that may declare more.
   */
  constructor(registry: PluginRegistry, declared: Iterable<string>, complete: boolean, scope: Scope) {
    this.#registry = registry;
    this.#declared = new Set(declared);
    this.#complete = complete;
    this.#scope = scope;
  }

  /** @param owner the pipeline's or route's name, for the names of steps without an id. */
  read(list: ConfigNode | undefined, path: Path, owner: string): StepItem[] {
    if (list === undefined) return [];
    if (list.kind !== "sequence") {
      const failed = isFailed(list);
      if (!failed) this.#error(list.place, path, `expected a list of steps, got ${describe(list, path)}`);
      return [{ kind: "broken" }];
    }
    return itemsOf(list).map((item, index) => this.#item(item, [...path, index], `${owner}[${index}]`));
  }

  #item(node: ConfigNode, path: Path, key: string): StepItem {
    const name = textOf(node);
    if (isFailed(node)) return { kind: "broken" };
    if (name !== undefined) {
      const options: ConfigNode = { kind: "mapping", entries: [], place: node.place };
      return this.#step(
        name,
        { key: name, keyPlace: node.place, value: options },
        undefined,
        node,
        path,
        key,
      );
    }
    if (node.kind !== "mapping") {
      this.#error(
        node.place,
        path,
        `expected a plugin's name, or a mapping with it as a key, got ${describe(node, path)}`,
      );
      return { kind: "broken" };
    }
    const use = node.entries.find((entry) => entry.key === "use");
    if (use !== undefined) return this.#use(use, node, path);
    const own = node.entries.filter((entry) => !isPluginKey(entry));
    const plugin = this.#pluginEntry(node, path);
    const common: MappingNode = { ...node, entries: own };
    if (plugin !== undefined) return this.#step(plugin.key, plugin, common, node, path, key);
    readNode(stepSchema, common, path, this.#scope.problems);
    return { kind: "broken" };
  }

  #use(use: MappingEntry, node: MappingNode, path: Path): StepItem {
    for (const entry of node.entries) {
      if (entry === use) continue;
      this.#error(entry.keyPlace, [...path, entry.key], "stands beside use, which stands alone");
    }
    const name = textOf(use.value);
    if (isFailed(use.value)) return { kind: "broken" };
    const at = [...path, "use"];
    if (name !== undefined && name !== "") return { kind: "use", name, node: use.value, path: at };
    this.#error(use.value.place, at, `expected the name of a pipeline, got ${describe(use.value, at)}`);
    return { kind: "broken" };
  }

  /** The one key that names the plugin; every other key that is unknown is reported. */
  #pluginEntry(node: MappingNode, path: Path): MappingEntry | undefined {
    const candidates = node.entries.filter(isPluginKey);
    const known = candidates.filter(({ key }) => this.#isKnown(key));
    if (candidates.length === 0) {
      this.#error(node.place, path, "names no plugin, expected a plugin's name as a key");
      return undefined;
    }
    const [
      plugin = candidates.find(({ key }) => nearest(key, STEP_KEYS) === undefined) ?? candidates[0]!,
      second,
    ] = known;
    if (second !== undefined) {
      const names = `${JSON.stringify(plugin.key)} and ${JSON.stringify(second.key)}`;
      this.#error(second.keyPlace, [...path, second.key], `a step has one plugin, got ${names}`);
      return undefined;
    }
    for (const entry of candidates) {
      if (entry === plugin) continue;
      const suggestion = nearest(entry.key, STEP_KEYS);
      this.#scope.problems.error(
        entry.keyPlace,
        formatPath([...path, entry.key]),
        `unknown key ${JSON.stringify(entry.key)} beside the plugin ${JSON.stringify(plugin.key)}`,
        suggestion === undefined ? {} : { suggestion },
      );
    }
    return plugin;
  }

  #step(
    name: string,
    plugin: MappingEntry,
    common: MappingNode | undefined,
    node: ConfigNode,
    path: Path,
    key: string,
  ): StepItem {
    const { problems } = this.#scope;
    const own = common ?? { kind: "mapping", entries: [], place: node.place };
    const settings = readNode(stepSchema, own, path, problems)?.value;
    const at = common === undefined ? path : [...path, name];
    const definition = this.#definition(name, common === undefined ? node : undefined, plugin.keyPlace, at);
    if (definition === undefined) return { kind: "broken" };
    // `request-id:` with nothing behind it means the same as the bare name.
    const empty = plugin.value.kind === "scalar" && plugin.value.value === null;
    const options: ConfigNode = empty
      ? { kind: "mapping", entries: [], place: plugin.value.place }
      : plugin.value;
    const read = readNode(definition.schema, options, at, problems);
    if (read === undefined || settings === undefined) return { kind: "broken" };
    const when = own.entries.find((entry) => entry.key === "when")?.value;
    const step: StepConfig = {
      key: settings.id ?? key,
      id: settings.id,
      plugin: name,
      definition,
      options: read.value,
      when:
        settings.when === undefined
          ? undefined
          : conditionOf(settings.when, when, [...path, "when"], problems),
      onError: settings.on_error,
      timeout: settings.timeout,
      place: node.place,
      placeOf: (below) => (below.length === 0 ? plugin.keyPlace : placeAt(options, below)),
    };
    return { kind: "step", step, path, options };
  }

  /** @param text the scalar that is the name, where it is no key. */
  #definition(name: string, text: ConfigNode | undefined, place: Place, path: Path): AnyPlugin | undefined {
    const definition = this.#registry.get(name);
    if (definition !== undefined) return definition;
    if (this.#registry.names.includes(name)) return undefined;
    const shown = text === undefined ? `plugin ${JSON.stringify(name)}` : describeNamed("plugin", text);
    if (this.#declared.has(name)) this.unloaded.push({ name, place, path });
    else if (PLANNED_PLUGINS.has(name)) this.#error(place, path, `${shown} ${NOT_AVAILABLE}`);
    else if (this.#complete) {
      const suggestion = nearest(name, [...this.#registry.names, ...this.#declared, ...PLANNED_PLUGINS]);
      const known = [...new Set([...this.#registry.names, ...this.#declared])].sort();
      const expected =
        suggestion === undefined ? `, expected one of ${known.map((n) => JSON.stringify(n)).join(", ")}` : "";
      const hint =
        suggestion === undefined || (text?.kind === "scalar" && text.interpolated) ? {} : { suggestion };
      this.#scope.problems.error(place, formatPath(path), `unknown ${shown}${expected}`, hint);
    }
    return undefined;
  }

  #isKnown(name: string): boolean {
    return this.#registry.names.includes(name) || this.#declared.has(name) || PLANNED_PLUGINS.has(name);
  }

  #error(place: Place, path: Path, message: string): void {
    this.#scope.problems.error(place, formatPath(path), message);
  }
}

/** `timeout` is a plugin's name as well: with options of its own it is meant as one. */
function isPluginKey({ key, value }: MappingEntry): boolean {
  return !STEP_KEYS.has(key) || (key === "timeout" && value.kind === "mapping");
}
