import type { z } from "zod";
import { type ConfigNode, formatPath, keyPlaceAt, nodeAt, type Path, placeAt, isFailed } from "./node.ts";
import { NOT_AVAILABLE } from "./planned.ts";
import type { Problem, Problems } from "./problem.ts";
import { type Refusal, refusalOf } from "./scalar.ts";
import { describe, redacted } from "./secrets.ts";
import { nearest } from "./suggest.ts";

/*
 * From the issues of a zod schema, ours or a plugin's, to problems in the words of an operator.
 */

type Issue = z.core.$ZodIssue;

/** What {@link errorMap} answers: the schema has no words of its own for this issue. */
const UNSAID = "\0unsaid";

/** Remembers what an object with unknown keys would have known, which zod's issues do not tell. */
const knownKeys = new WeakMap<readonly string[], readonly string[]>();

/** The error map to parse with; issues of other parses cannot be translated. */
export function errorMap(issue: z.core.$ZodRawIssue): string {
  if (issue.code === "unrecognized_keys") {
    const definition = issue.inst?._zod.def as { shape?: object } | undefined;
    if (definition?.shape !== undefined) knownKeys.set(issue.keys, Object.keys(definition.shape));
  }
  return UNSAID;
}

/** @param node what was parsed. @param path where it stands in the configuration. */
export function report(issues: readonly Issue[], node: ConfigNode, path: Path, problems: Problems): void {
  for (const issue of issues) new Translator(node, path, problems).issue(issue, []);
}

class Translator {
  readonly #root: ConfigNode;
  readonly #base: Path;
  readonly #problems: Problems;

  constructor(root: ConfigNode, base: Path, problems: Problems) {
    this.#root = root;
    this.#base = base;
    this.#problems = problems;
  }

  /** @param prefix the path of the union or record that the issue was found in. */
  issue(issue: Issue, prefix: Path): void {
    const at = [...prefix, ...issue.path.map(asPathPart)];
    const node = nodeAt(this.#root, at);
    if (isFailed(node)) return;
    if (issue.code === "unrecognized_keys") return this.#unknownKeys(issue, at);
    if (issue.code === "invalid_key") return this.#invalidKey(issue.issues, at);
    if (issue.code === "invalid_element") {
      for (const inner of issue.issues) this.issue(inner, [...at, asPathPart(issue.key as PropertyKey)]);
      return;
    }
    if (issue.code === "invalid_union" && issue.message === UNSAID && issue.errors.length > 0) {
      return this.#union(issue.errors, at, node);
    }
    this.#add(at, node, this.#sentence(issue, at, node));
  }

  #unknownKeys(issue: Extract<Issue, { code: "unrecognized_keys" }>, at: Path): void {
    const known = knownKeys.get(issue.keys) ?? [];
    for (const key of issue.keys) {
      const path = [...at, key];
      const suggestion = nearest(key, known);
      const expected =
        suggestion === undefined && known.length > 0 ? `, expected ${anyOf([...known].sort())}` : "";
      this.#problems.error(
        keyPlaceAt(this.#root, path),
        formatPath([...this.#base, ...path]),
        `unknown key ${JSON.stringify(key)}${expected}`,
        suggestion === undefined ? {} : { suggestion },
      );
    }
  }

  #invalidKey(issues: readonly Issue[], at: Path): void {
    const key = String(at.at(-1));
    const expected = issues.map(expectation).find((words) => words !== undefined);
    const message = expected === undefined ? `the key ${JSON.stringify(key)} is not allowed` : undefined;
    this.#problems.error(
      keyPlaceAt(this.#root, at),
      formatPath([...this.#base, ...at]),
      message ?? `expected ${expected}, got ${JSON.stringify(key)}`,
    );
  }

  /** Speaks of the branch that was probably meant, or of all where none stands out. */
  #union(branches: readonly (readonly Issue[])[], at: Path, node: ConfigNode | undefined): void {
    const ranked = branches.map((issues) => ({ issues, distance: distanceOf(issues) }));
    const least = Math.min(...ranked.map(({ distance }) => distance));
    const near = ranked.filter(({ distance }) => distance === least).map(({ issues }) => issues);
    if (least === 0 || near.length === 1) {
      const fewest = near.reduce((best, issues) => (issues.length < best.length ? issues : best));
      for (const issue of fewest) this.issue(issue, at);
      return;
    }
    const expected = [...new Set(near.flat().flatMap((issue) => expectation(issue) ?? []))];
    const refusal = near
      .flat()
      .map(refusalIn)
      .find((found) => found?.suggestion !== undefined);
    const words = expected.length === 0 ? "a valid value" : expected.join(" or ");
    this.#add(at, node, this.#got(words, at, node, { ...pick(refusal) }));
  }

  #sentence(issue: Issue, at: Path, node: ConfigNode | undefined): Sentence {
    const refusal = refusalIn(issue);
    if (refusal?.unavailable === true) return this.#unavailable(refusal, at, node);
    if (refusal !== undefined) return this.#got(refusal.expected ?? "another value", at, node, refusal);
    if (issue.message !== UNSAID) {
      return { message: redacted(issue.message, node ?? this.#root, [...this.#base, ...at]) };
    }
    const words = expectation(issue);
    if (words === undefined) return { message: `${this.#describe(node, at)} is not valid` };
    return this.#got(words, at, node, suggestionFor(issue, node));
  }

  #unavailable(refusal: Refusal, at: Path, node: ConfigNode | undefined): Sentence {
    if (refusal.expected === undefined) return { message: NOT_AVAILABLE, atKey: true };
    return { message: `${this.#describe(node, at)} ${NOT_AVAILABLE}, expected ${refusal.expected}` };
  }

  #got(expected: string, at: Path, node: ConfigNode | undefined, more: Refusal = {}): Sentence {
    if (node === undefined) return { message: `is missing, expected ${expected}` };
    // A suggestion is made from the value, so it would give away what the description hides.
    const secret = node.kind === "scalar" && this.#describe(node, at) !== describe(plainOf(node));
    const because = more.because === undefined ? "" : `: ${more.because}`;
    return {
      message: `expected ${expected}, got ${this.#describe(node, at)}${because}`,
      ...(more.suggestion === undefined || secret ? {} : { suggestion: more.suggestion }),
    };
  }

  #describe(node: ConfigNode | undefined, at: Path): string {
    return describe(node, [...this.#base, ...at]);
  }

  #add(at: Path, node: ConfigNode | undefined, { message, suggestion, atKey }: Sentence): void {
    const place = atKey === true || node === undefined ? keyPlaceAt(this.#root, at) : placeAt(this.#root, at);
    const path = formatPath([...this.#base, ...at]);
    this.#problems.error(place, path, message, suggestion === undefined ? {} : { suggestion });
  }
}

interface Sentence extends Pick<Problem, "message" | "suggestion"> {
  /** The key is wrong rather than its value. */
  readonly atKey?: boolean;
}

function plainOf(node: ConfigNode): ConfigNode {
  return node.kind === "scalar" ? { ...node, interpolated: undefined } : node;
}

function pick(refusal: Refusal | undefined): Refusal {
  return refusal?.suggestion === undefined ? {} : { suggestion: refusal.suggestion };
}

/** 0: the value is of the branch's kind, and wrong inside. 1: the value itself is wrong. 2: it is of another kind. */
function distanceOf(issues: readonly Issue[]): number {
  let distance = 0;
  for (const issue of issues) {
    if (issue.path.length > 0 || issue.code === "unrecognized_keys") continue;
    const otherKind = issue.code === "invalid_type" || refusalIn(issue)?.wrongKind === true;
    const inner = issue.code === "invalid_union" ? Math.min(...issue.errors.map(distanceOf)) : 1;
    distance = Math.max(distance, otherKind ? 2 : inner);
  }
  return distance;
}

function refusalIn(issue: Issue): Refusal | undefined {
  return issue.code === "custom" ? refusalOf(issue.params) : undefined;
}

/** The words behind "expected"; undefined where an issue says nothing but that the value is wrong. */
function expectation(issue: Issue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return TYPE_WORDS[issue.expected] ?? issue.expected;
    case "invalid_value":
      return anyOf(issue.values.map(String));
    case "too_small":
    case "too_big":
      return boundWords(issue);
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "invalid_format":
      return formatWords(issue);
    case "invalid_union":
      return (
        [...new Set(issue.errors.flat().flatMap((inner) => expectation(inner) ?? []))].join(" or ") ||
        undefined
      );
    case "custom":
      return refusalOf(issue.params)?.expected;
    default:
      return undefined;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  set: "a list",
  object: "a mapping",
  record: "a mapping",
  map: "a mapping",
  null: "nothing",
  undefined: "nothing",
  never: "nothing",
  date: "a date",
  bigint: "a whole number",
};

const FORMAT_WORDS: Readonly<Record<string, string>> = {
  url: "a URL",
  email: "an e-mail address",
  uuid: "a UUID",
  ipv4: "an IPv4 address",
  ipv6: "an IPv6 address",
  cidrv4: "an IPv4 network such as 10.0.0.0/8",
  cidrv6: "an IPv6 network such as fd00::/8",
  base64: "base64 text",
  datetime: "a date and time such as 2030-01-31T12:00:00Z",
  date: "a date such as 2030-01-31",
};

function formatWords(issue: Extract<Issue, { code: "invalid_format" }>): string {
  const words = FORMAT_WORDS[issue.format];
  if (words !== undefined) return words;
  return issue.pattern === undefined
    ? `text of the form ${issue.format}`
    : `text that matches ${issue.pattern}`;
}

function boundWords(issue: Extract<Issue, { code: "too_small" | "too_big" }>): string {
  const least = issue.code === "too_small";
  const bound = least ? issue.minimum : issue.maximum;
  const inclusive = issue.inclusive !== false;
  const limit = inclusive
    ? `${least ? "at least" : "at most"} ${bound}`
    : `${least ? "above" : "below"} ${bound}`;
  switch (issue.origin) {
    case "string":
      return least && bound === 1 ? "text that is not empty" : `text of ${limit} characters`;
    case "array":
    case "set":
    case "file":
      return `a list of ${limit} item${bound === 1 ? "" : "s"}`;
    case "int":
    case "bigint":
      return `a whole number ${inclusive ? `of ${limit}` : limit}`;
    default:
      return `a number ${inclusive ? `of ${limit}` : limit}`;
  }
}

function suggestionFor(issue: Issue, node: ConfigNode | undefined): Refusal {
  if (node?.kind !== "scalar") return {};
  if (issue.code === "invalid_value") {
    const suggestion = nearest(String(node.value), issue.values.map(String));
    return suggestion === undefined ? {} : { suggestion };
  }
  const unquoted = typeof node.value === "number" || typeof node.value === "boolean";
  return issue.code === "invalid_type" && issue.expected === "string" && unquoted
    ? { suggestion: node.source }
    : {};
}

/** `"a"`, or `one of "a", "b"`. */
function anyOf(values: readonly string[]): string {
  const shown = values.map((value) => JSON.stringify(value)).join(", ");
  return values.length === 1 ? shown : `one of ${shown}`;
}

function asPathPart(part: PropertyKey): string | number {
  return typeof part === "number" ? part : String(part);
}
