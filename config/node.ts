import type { Place } from "./types.ts";

/*
 * The document between YAML and Config: plain values that know where they stood and where they came from.
 * Aliases are shared nodes, so a node may have several parents.
 */

export type Path = readonly (string | number)[];

export interface ScalarNode {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  readonly place: Place;
  /** As written, for text and numbers alike. */
  readonly source: string;
  readonly interpolated: Interpolation | undefined;
}

/** What is known of a value that `${…}` made. */
export interface Interpolation {
  /** `${NAME}` and `${file:path}`, without defaults. */
  readonly expressions: readonly string[];
  readonly fromFile: boolean;
  /** The value could not be made; the failure is reported already. */
  readonly failed: boolean;
}

export interface SequenceNode {
  readonly kind: "sequence";
  readonly items: readonly ConfigNode[];
  readonly place: Place;
}

export interface MappingEntry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly value: ConfigNode;
}

export interface MappingNode {
  readonly kind: "mapping";
  /** In the order of the file; keys are unique. */
  readonly entries: readonly MappingEntry[];
  readonly place: Place;
}

export type ConfigNode = ScalarNode | SequenceNode | MappingNode;

export function entryOf(node: ConfigNode | undefined, key: string): MappingEntry | undefined {
  return node?.kind === "mapping" ? node.entries.find((entry) => entry.key === key) : undefined;
}

/** The value under `key`; undefined when there is none or `node` is no mapping. */
export function child(node: ConfigNode | undefined, key: string): ConfigNode | undefined {
  return entryOf(node, key)?.value;
}

export function entriesOf(node: ConfigNode | undefined): readonly MappingEntry[] {
  return node?.kind === "mapping" ? node.entries : [];
}

export function itemsOf(node: ConfigNode | undefined): readonly ConfigNode[] {
  return node?.kind === "sequence" ? node.items : [];
}

/** The text of a scalar that is text; undefined otherwise. */
export function textOf(node: ConfigNode | undefined): string | undefined {
  return node?.kind === "scalar" && typeof node.value === "string" ? node.value : undefined;
}

/** Whether the value could not be made, which is reported already. */
export function isFailed(node: ConfigNode | undefined): boolean {
  return node?.kind === "scalar" && node.interpolated?.failed === true;
}

export function nodeAt(node: ConfigNode, path: Path): ConfigNode | undefined {
  let at: ConfigNode | undefined = node;
  for (const part of path) {
    at = typeof part === "number" && at?.kind === "sequence" ? at.items[part] : child(at, String(part));
    if (at === undefined) return undefined;
  }
  return at;
}

/** Where the value at `path` stands, or the nearest thing above it that exists. */
export function placeAt(node: ConfigNode, path: Path): Place {
  for (let length = path.length; length > 0; length--) {
    const found = nodeAt(node, path.slice(0, length));
    if (found !== undefined) return found.place;
  }
  return node.place;
}

/** Where the last key of `path` stands; a list item has no key and answers its own place. */
export function keyPlaceAt(node: ConfigNode, path: Path): Place {
  const parent = nodeAt(node, path.slice(0, -1));
  return entryOf(parent, String(path.at(-1)))?.keyPlace ?? placeAt(node, path);
}

/** Plain data. `replaced` holds values to use instead of those of some scalars. */
export function toPlain(node: ConfigNode, replaced?: ReadonlyMap<ScalarNode, ScalarNode["value"]>): unknown {
  switch (node.kind) {
    case "scalar":
      return replaced?.has(node) === true ? replaced.get(node) : node.value;
    case "sequence":
      return node.items.map((item) => toPlain(item, replaced));
    case "mapping":
      return Object.fromEntries(node.entries.map(({ key, value }) => [key, toPlain(value, replaced)]));
  }
}

/** Every scalar at or below `node`, each with its path. */
export function* scalarsOf(node: ConfigNode, path: Path = []): Generator<[ScalarNode, Path]> {
  if (node.kind === "scalar") yield [node, path];
  else if (node.kind === "sequence") {
    for (const [index, item] of node.items.entries()) yield* scalarsOf(item, [...path, index]);
  } else for (const { key, value } of node.entries) yield* scalarsOf(value, [...path, key]);
}

const SIMPLE_KEY = /^[\w-]+$/;

/** `routes[0].match.path`; a key that is no plain word stands as `["…"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (!SIMPLE_KEY.test(part)) text += `[${JSON.stringify(part)}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text;
}
