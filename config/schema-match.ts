import { nearest } from "sluice/plugin";
import { z } from "zod";
import { normalHostPattern } from "./host-name.ts";
import { child, type ConfigNode, entriesOf, formatPath, itemsOf, type Path, textOf } from "./node.ts";
import { PATH_EXPECTED, PATH_PATTERN, pathPatternFault } from "./path-syntax.ts";
import type { Problems } from "./problem.ts";
import { oneOrMany, Refused, scalar } from "./scalar.ts";
import { TOKEN } from "sluice/plugin";
import type { ConditionConfig, MatchConfig } from "./types.ts";
import { fieldName, oneOf, quotedNumber, text } from "./values.ts";

const pathPattern = () =>
  scalar(PATH_EXPECTED, { type: "string", pattern: PATH_PATTERN }, (value) => {
    const fault = typeof value === "string" ? pathPatternFault(value) : "it begins with /";
    return fault === undefined ? String(value) : new Refused({ because: fault });
  });

const host = () =>
  scalar("a host name such as example.com or *.example.com", { type: "string", minLength: 1 }, (value) => {
    const normal = typeof value === "string" ? normalHostPattern(value) : "it is not a host name";
    return typeof normal === "string" ? new Refused({ because: normal }) : normal.host;
  });

/** A method, in upper case. */
export const method = () =>
  scalar("a method such as GET", { type: "string", pattern: TOKEN.source }, (value) =>
    typeof value === "string" && TOKEN.test(value) ? value.toUpperCase() : new Refused(),
  );

const wantedValue = () =>
  scalar("the exact value, or true for any", { anyOf: [{ type: "string" }, { const: true }] }, (value) => {
    if (value === true || typeof value === "string") return value;
    return new Refused(
      typeof value === "number" ? quotedNumber(value) : { because: "absence cannot be matched" },
    );
  });

const matchShape = {
  host: oneOrMany(host()).optional().describe("Names, or `*.suffix` for everything below one; without port."),
  path: pathPattern()
    .optional()
    .describe("`/api/*` is everything below /api/ and /api itself; `:name` is one segment; otherwise exact."),
  method: oneOrMany(method()).optional().describe("Methods; HEAD is matched where it is listed."),
  header: z
    .record(fieldName(), wantedValue())
    .optional()
    .describe("Header name to its exact value, or to true for any value; all must match."),
  query: z
    .record(z.string().min(1), wantedValue())
    .optional()
    .describe("Query parameter to its exact value, or to true for any value; all must match."),
};

export const matchSchema = z.strictObject(matchShape);

type MatchInput = z.output<typeof matchSchema>;

type Names = string[] | undefined;
interface ConditionInput extends MatchInput {
  consumer?: Names;
  tenant?: Names;
  protocol?: ("http" | "grpc" | "grpc-web" | "connect")[] | undefined;
  not?: ConditionInput | undefined;
}

export const conditionSchema: z.ZodType<ConditionInput> = z.strictObject({
  ...matchShape,
  consumer: oneOrMany(text("a consumer's name"))
    .optional()
    .describe("Consumers, as an auth step names them."),
  tenant: oneOrMany(text("a tenant's name")).optional().describe("Tenants, as an auth step names them."),
  protocol: oneOrMany(oneOf(["http", "grpc", "grpc-web", "connect"]))
    .optional()
    .describe("What the caller speaks on top of HTTP."),
  get not() {
    return conditionSchema.optional().describe("A condition that must not hold.");
  },
});

/** A match that its schema accepted. `node` gives the places of what is found beyond the schema. */
export function matchOf(
  value: MatchInput,
  node: ConfigNode | undefined,
  path: Path,
  problems: Problems,
): MatchConfig {
  checkFieldCase(child(node, "header"), [...path, "header"], problems);
  checkMethods(child(node, "method"), [...path, "method"], problems);
  return {
    hosts: [...new Set(value.host)],
    path: value.path,
    methods: [...new Set(value.method)],
    headers: Object.entries(value.header ?? {}).map(([name, wanted]) => [name.toLowerCase(), wanted]),
    query: Object.entries(value.query ?? {}),
  };
}

export function conditionOf(
  value: ConditionInput,
  node: ConfigNode | undefined,
  path: Path,
  problems: Problems,
): ConditionConfig {
  return {
    ...matchOf(value, node, path, problems),
    consumers: value.consumer ?? [],
    tenants: value.tenant ?? [],
    protocols: value.protocol ?? [],
    not:
      value.not === undefined
        ? undefined
        : conditionOf(value.not, child(node, "not"), [...path, "not"], problems),
  };
}

/** Reports header names that differ in nothing but case: one field, set twice. */
function checkFieldCase(map: ConfigNode | undefined, path: Path, problems: Problems): void {
  const seen = new Map<string, ConfigNode["place"]>();
  for (const { key, keyPlace } of entriesOf(map)) {
    const first = seen.get(key.toLowerCase());
    if (first === undefined) seen.set(key.toLowerCase(), keyPlace);
    else {
      const message = `duplicate header ${JSON.stringify(key)}, case does not count`;
      const also = { label: "first at", place: first };
      problems.error(keyPlace, formatPath([...path, key]), message, { also });
    }
  }
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/** Warns of slips: any token is a method (RFC 9110 §16.1), so that none is an error. */
export function checkMethods(node: ConfigNode | undefined, path: Path, problems: Problems): void {
  const listed: [ConfigNode, Path][] =
    node?.kind === "sequence"
      ? itemsOf(node).map((item, index) => [item, [...path, index]])
      : node === undefined
        ? []
        : [[node, path]];
  for (const [item, at] of listed) {
    const name = textOf(item)?.toUpperCase();
    if (name === undefined || METHODS.includes(name)) continue;
    const suggestion = nearest(name, METHODS);
    if (suggestion === undefined) continue;
    problems.warn(item.place, formatPath(at), `${JSON.stringify(name)} is no common method`, { suggestion });
  }
}
