import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type ParsedNode,
  type Scalar,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import type { ConfigNode, MappingEntry } from "./node.ts";
import { formatPath, type Path } from "./node.ts";
import type { Problems } from "./problem.ts";
import type { Place } from "./types.ts";

/** Values of one file, those that aliases repeat counted as often as they are repeated. */
const MAX_VALUES = 250_000;
const MAX_DEPTH = 64;
/** One slip makes the parser stumble over much of what follows. */
const MAX_SYNTAX_ERRORS = 5;

/**
 * A YAML 1.2 text as nodes with positions. Every syntax error, duplicate key, unknown tag and anchor without end
 * is reported; undefined where nothing can be made of the text.
 */
export function parseYaml(file: string, text: string, problems: Problems): ConfigNode | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    // The pretty form quotes the text around an error, which may be a secret.
    prettyErrors: false,
    uniqueKeys: false,
    resolveKnownTags: false,
    logLevel: "error",
  });
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (document.errors.length > 0) {
    reportSyntax(document.errors, text, placeOf, problems);
    return undefined;
  }
  for (const warning of document.warnings) {
    // Unknown tags are reported with their path.
    if (warning.code === "TAG_RESOLVE_FAILED") continue;
    problems.error(placeOf(warning.pos[0]), "", `not valid YAML: ${warning.message}`);
  }
  if (document.contents === null) {
    problems.error({ file, line: 1, column: 1 }, "", "the file is empty");
    return undefined;
  }
  return new Converter(placeOf, problems).document(document.contents);
}

function reportSyntax(
  errors: readonly YAMLError[],
  text: string,
  placeOf: (offset: number) => Place,
  problems: Problems,
): void {
  const lines = new Set<number>();
  for (const error of errors) {
    const place = placeOf(error.pos[0]);
    // What follows a flow collection that never closes is not wrong by itself.
    if (lines.has(place.line) || (lines.size > 0 && error.message.includes("in YAML stream"))) continue;
    if (lines.size === MAX_SYNTAX_ERRORS) break;
    lines.add(place.line);
    problems.error(place, "", `not valid YAML: ${inOurWords(error, text)}`);
  }
}

function inOurWords(error: YAMLError, text: string): string {
  switch (error.code) {
    case "MULTIPLE_DOCS":
      return "a second document begins here (---), one file holds one";
    case "TAB_AS_INDENT":
      return "a tab indents this line, YAML allows spaces only";
    case "MISSING_CHAR":
      if (error.message.includes("quote")) return "a quoted text that begins above never ends";
      return bareMessage(error, text);
    case "RESOURCE_EXHAUSTION":
      return `it is nested deeper than ${MAX_DEPTH} levels`;
    default:
      return bareMessage(error, text);
  }
}

function bareMessage(error: YAMLError, text: string): string {
  const from = text.lastIndexOf("\n", Math.max(0, error.pos[0] - 1)) + 1;
  const to = text.indexOf("\n", error.pos[0]);
  const line = text.slice(from, to === -1 ? undefined : to);
  // "{" opens a mapping inside { and [, and ": " begins a value, unless quotes say otherwise.
  const hint = line.includes("${") ? "; a value with ${…} stands in quotes inside { } and [ ]" : "";
  return error.message.replace(/\s*\n[\s\S]*/, "") + hint;
}

/** Tags that only spell out what a plain value would be anyway. */
const CORE_TAGS = /^tag:yaml\.org,2002:(map|seq|str|int|float|bool|null)$/;

class Converter {
  readonly #placeOf: (offset: number) => Place;
  readonly #problems: Problems;
  /** Finished anchors with the number and the depth of the values below; "open" while that is converted. */
  readonly #anchors = new Map<string, { node: ConfigNode; size: number; depth: number } | "open">();
  #count = 0;
  /** How deep the innermost value was, aliases included. */
  #deepest = 0;
  #exhausted = false;

  constructor(placeOf: (offset: number) => Place, problems: Problems) {
    this.#placeOf = placeOf;
    this.#problems = problems;
  }

  document(contents: ParsedNode): ConfigNode | undefined {
    const root = this.#convert(contents, []);
    return this.#exhausted ? undefined : root;
  }

  #convert(node: ParsedNode | null, path: Path): ConfigNode {
    const place = this.#placeOf(node?.range?.[0] ?? 0);
    if (node === null) return nothing(place);
    if (isAlias(node)) return this.#alias(node, place, path);
    const before = this.#count;
    if (this.#exceeds(1, path.length, place, path)) return nothing(place);
    const { anchor, tag } = node;
    if (tag !== undefined && !CORE_TAGS.test(tag)) {
      const message = `the tag ${tag} means nothing here, write the value without it`;
      this.#problems.error(place, formatPath(path), message);
      return failed(place);
    }
    if (anchor === undefined) return this.#value(node, place, path);
    const outside = this.#deepest;
    this.#deepest = path.length;
    this.#anchors.set(anchor, "open");
    const converted = this.#value(node, place, path);
    const depth = this.#deepest - path.length;
    this.#anchors.set(anchor, { node: converted, size: this.#count - before, depth });
    this.#deepest = Math.max(outside, this.#deepest);
    return converted;
  }

  /** Counts `values` more that reach down to `depth`; reports the first that are too many. */
  #exceeds(values: number, depth: number, place: Place, path: Path): boolean {
    this.#count += values;
    this.#deepest = Math.max(this.#deepest, depth);
    const many = this.#count > MAX_VALUES;
    if (!many && depth <= MAX_DEPTH) return this.#exhausted;
    if (!this.#exhausted) {
      this.#exhausted = true;
      const wrong = many
        ? `more than ${MAX_VALUES} values, those that aliases repeat included`
        : `nested deeper than ${MAX_DEPTH} levels`;
      this.#problems.error(place, formatPath(path.slice(0, 3)), wrong);
    }
    return true;
  }

  #value(node: Exclude<ParsedNode, Alias.Parsed>, place: Place, path: Path): ConfigNode {
    if (isMap(node)) return this.#mapping(node, place, path);
    if (isSeq(node)) {
      const items = node.items.map((item, index) => this.#convert(asNode(item), [...path, index]));
      return { kind: "sequence", items, place };
    }
    return this.#scalar(node, place, path);
  }

  #scalar(node: Scalar.Parsed, place: Place, path: Path): ConfigNode {
    const value: unknown = node.value;
    const source = node.source;
    if (typeof value === "number" && !Number.isFinite(value)) {
      this.#problems.error(place, formatPath(path), `the number ${source} is out of range`);
      return failed(place);
    }
    const plain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    return { kind: "scalar", value: plain ? value : null, place, source, interpolated: undefined };
  }

  #mapping(node: YAMLMap.Parsed, place: Place, path: Path): ConfigNode {
    const entries = new Map<string, MappingEntry>();
    for (const pair of node.items) {
      const keyPlace = this.#placeOf(pair.key.range?.[0] ?? node.range[0]);
      const key = keyText(pair.key);
      if (key === undefined || key === "__proto__") {
        const wrong = key === undefined ? "a key must be plain text" : `the key "__proto__" is not allowed`;
        this.#problems.error(keyPlace, formatPath(path), wrong);
        continue;
      }
      const below = [...path, key];
      if (key === "<<") {
        const message =
          "merge keys (<<) are not part of YAML 1.2: write the keys out, or use an alias for a whole value";
        this.#problems.error(keyPlace, formatPath(path), message);
        continue;
      }
      const first = entries.get(key);
      if (first !== undefined) {
        const also = { label: "first at", place: first.keyPlace };
        this.#problems.error(keyPlace, formatPath(below), `duplicate key ${JSON.stringify(key)}`, { also });
        continue;
      }
      const value = pair.value === null ? nothing(keyPlace) : this.#convert(asNode(pair.value), below);
      entries.set(key, { key, keyPlace, value });
    }
    return { kind: "mapping", entries: [...entries.values()], place };
  }

  #alias(node: Alias.Parsed, place: Place, path: Path): ConfigNode {
    const target = this.#anchors.get(node.source);
    if (target === undefined || target === "open") {
      const wrong =
        target === undefined ? "there is no anchor of that name above" : "it stands inside its own anchor";
      this.#problems.error(place, formatPath(path), `the alias *${node.source} means nothing: ${wrong}`);
      return failed(place);
    }
    if (this.#exceeds(target.size, path.length + target.depth, place, path)) return nothing(place);
    return target.node;
  }
}

/** A parsed document holds nothing but nodes; its types also allow for values that programs add. */
function asNode(value: unknown): ParsedNode | null {
  return value as ParsedNode | null;
}

function keyText(key: ParsedNode): string | undefined {
  if (!isScalar(key)) return undefined;
  const value: unknown = key.value;
  if (typeof value === "string") return value;
  // A key such as 200 or 1.0 is meant as it was written.
  return typeof value === "number" || typeof value === "boolean"
    ? ((key as Scalar).source ?? String(value))
    : undefined;
}

function nothing(place: Place): ConfigNode {
  return { kind: "scalar", value: null, place, source: "", interpolated: undefined };
}

/** In the place of a value that was reported, so that nothing complains about it again. */
function failed(place: Place): ConfigNode {
  const interpolated = { expressions: [], fromFile: false, failed: true };
  return { kind: "scalar", value: null, place, source: "", interpolated };
}
