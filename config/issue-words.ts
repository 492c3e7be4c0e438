import { nearest } from "sluice/plugin";
import type { z } from "zod";
import type { ConfigNode } from "./node.ts";
import { type Refusal, refusalOf } from "./scalar.ts";

/*
 * What an issue of zod means, in words that go behind "expected".
 */

type Issue = z.core.$ZodIssue;

/** The words behind "expected"; undefined where an issue says nothing but that the value is wrong. */
export function expectation(issue: Issue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return TYPE_WORDS[issue.expected] ?? issue.expected;
    case "invalid_value":
      return anyOf(issue.values);
    case "too_small":
    case "too_big":
      return boundWords(issue);
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "invalid_format":
      return formatWords(issue);
    case "invalid_union":
      return unionWords(issue);
    case "custom":
      return refusalOf(issue.params)?.expected;
    default:
      return undefined;
  }
}

function unionWords(issue: Extract<Issue, { code: "invalid_union" }>): string | undefined {
  const named = namesOf(issue);
  if (named !== undefined) return anyOf(named);
  const words = new Set(issue.errors.flat().flatMap((inner) => expectation(inner) ?? []));
  return words.size === 0 ? undefined : [...words].join(" or ");
}

/** What may stand in the key that tells the branches of a union apart, where nothing known stood there. */
function namesOf(issue: Issue): readonly unknown[] | undefined {
  if (issue.code === "invalid_value") return issue.values;
  if (issue.code !== "invalid_union" || issue.errors.length > 0 || !("options" in issue)) return undefined;
  return issue.options;
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

export function suggestionFor(issue: Issue, node: ConfigNode | undefined): Refusal {
  if (node?.kind !== "scalar") return {};
  const names = namesOf(issue);
  if (names !== undefined) {
    const suggestion = nearest(String(node.value), names.map(String));
    return suggestion === undefined ? {} : { suggestion };
  }
  const unquoted = typeof node.value === "number" || typeof node.value === "boolean";
  return issue.code === "invalid_type" && issue.expected === "string" && unquoted
    ? { suggestion: node.source }
    : {};
}

/** `"a"`, or `one of "a", 2`. */
export function anyOf(values: readonly unknown[]): string {
  const shown = values
    .map((value) => (typeof value === "string" ? JSON.stringify(value) : String(value)))
    .join(", ");
  return values.length === 1 ? shown : `one of ${shown}`;
}
