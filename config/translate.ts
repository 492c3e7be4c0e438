import { nearest } from "sluice/plugin";
import type { z } from "zod";
import { type ConfigNode, formatPath, keyPlaceAt, nodeAt, type Path, placeAt, isFailed } from "./node.ts";
import { NOT_AVAILABLE } from "./planned.ts";
import type { Problem, Problems } from "./problem.ts";
import { anyOf, expectation, suggestionFor } from "./issue-words.ts";
import { type Refusal, refusalOf } from "./scalar.ts";
import { describe, redacted } from "./secrets.ts";

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
    const key = JSON.stringify(String(at.at(-1)));
    const said = issues.find(({ message }) => message !== UNSAID)?.message;
    const expected = issues.map(expectation).find((words) => words !== undefined);
    const ours =
      expected === undefined ? `the key ${key} is not allowed` : `expected ${expected}, got ${key}`;
    const path = formatPath([...this.#base, ...at]);
    this.#problems.error(keyPlaceAt(this.#root, at), path, said ?? ours);
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

function asPathPart(part: PropertyKey): string | number {
  return typeof part === "number" ? part : String(part);
}
