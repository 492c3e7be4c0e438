import { z } from "zod";
import { type ConfigNode, formatPath, type Path, type ScalarNode, scalarsOf, toPlain } from "./node.ts";
import type { Problems } from "./problem.ts";
import { refusalOf } from "./scalar.ts";
import { redacted } from "./secrets.ts";
import { errorMap, report } from "./translate.ts";

type Issue = z.core.$ZodIssue;

/** A schema sees a value or two at a start and at a reload: a parser that zod generates for it would cost more than it saves. */
const PARSING = { error: errorMap, jitless: true };

/** A value that a schema accepted; the box tells an accepted `undefined` from a refusal. */
export interface Read<T> {
  readonly value: T;
}

/**
 * The value of `node` by `schema`, or undefined after everything that is wrong with it was reported.
 *
 * What `${…}` made is text. Where the schema refuses that text and asks for a number or a truth value, it gets
 * the text as YAML would have read it: `max_connections: "${N:-5}"` is 5, whereas a token of digits stays text.
 */
export function readNode<Schema extends z.ZodType>(
  schema: Schema,
  node: ConfigNode,
  path: Path,
  problems: Problems,
): Read<z.output<Schema>> | undefined {
  try {
    const first = schema.safeParse(toPlain(node), PARSING);
    if (first.success) return { value: first.data };
    const reread = rereadScalars(node, first.error.issues);
    const result = reread.size === 0 ? first : schema.safeParse(toPlain(node, reread), PARSING);
    if (result.success) return { value: result.data };
    report(result.error.issues, node, path, problems);
  } catch (error) {
    // Only a plugin's schema can come here; its message may quote what it looked at.
    const reason =
      error instanceof z.core.$ZodAsyncError
        ? "its schema waits for something, which the check of a configuration does not do"
        : redacted(error instanceof Error ? error.message : String(error), node, path);
    problems.error(node.place, formatPath(path), `the check of these options failed: ${reason}`);
  }
  return undefined;
}

function rereadScalars(node: ConfigNode, issues: readonly Issue[]): Map<ScalarNode, ScalarNode["value"]> {
  const wanted = new Set<string>();
  collectPaths(issues, [], wanted);
  const reread = new Map<ScalarNode, ScalarNode["value"]>();
  for (const [scalar, path] of scalarsOf(node)) {
    if (scalar.interpolated === undefined || typeof scalar.value !== "string") continue;
    if (!wanted.has(JSON.stringify(path))) continue;
    const value = asYamlScalar(scalar.value);
    if (value !== undefined) reread.set(scalar, value);
  }
  return reread;
}

/** The paths at which a number or a truth value was expected, in all branches of all unions. */
function collectPaths(issues: readonly Issue[], prefix: readonly PropertyKey[], into: Set<string>): void {
  for (const issue of issues) {
    const path = [...prefix, ...issue.path];
    if (issue.code === "invalid_union") for (const branch of issue.errors) collectPaths(branch, path, into);
    else if (wantsOtherThanText(issue)) into.add(JSON.stringify(path));
  }
}

function wantsOtherThanText(issue: Issue): boolean {
  if (issue.code === "invalid_type") return issue.expected !== "string";
  if (issue.code === "invalid_value") return issue.values.some((value) => typeof value !== "string");
  return issue.code === "custom" && refusalOf(issue.params) !== undefined;
}

/** The number or truth value that a plain YAML scalar of this text is (core schema); undefined where it is text. */
function asYamlScalar(text: string): number | boolean | undefined {
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  if (!/^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
