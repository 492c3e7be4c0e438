import { headerMap } from "sluice/plugin";
import { z } from "zod";
import { child, type ConfigNode, entryOf, formatPath, type Path } from "./node.ts";
import { pathFault } from "./path-syntax.ts";
import type { Problems } from "./problem.ts";
import { Refused, scalar } from "./scalar.ts";
import { matchSchema } from "./schema-match.ts";
import type { RouteAction } from "./types.ts";
import { count, fieldValue, itemName, oneOf, text } from "./values.ts";

const plainPath = () =>
  scalar("an absolute path such as /v2", { type: "string", pattern: "^/[^?#\\s]*$" }, (value) => {
    const fault = typeof value === "string" ? pathFault(value) : "it begins with /";
    return fault === undefined ? String(value) : new Refused({ because: fault });
  });

const LOCATION_EXPECTED = "a URL such as https://example.com/, or a path such as /new";

const location = () =>
  scalar(LOCATION_EXPECTED, { type: "string", pattern: "^(https?://|/)[\\x21-\\x7e]*$" }, (value) => {
    if (typeof value !== "string") return new Refused();
    if (!/^[\x21-\x7e]*$/.test(value))
      return new Refused({ because: "blanks and non-ASCII characters need an escape" });
    if (/^\/(?!\/)/.test(value)) return value;
    return /^https?:\/\/[^/?#]/.test(value) && URL.canParse(value) ? value : new Refused();
  });

export const respondSchema = z.strictObject({
  status: count(200, 599).prefault(200).describe("The status code."),
  headers: headerMap(fieldValue())
    .default({})
    .describe("Header fields. Content-Type is set from body or json unless it stands here."),
  body: z.string().optional().describe("The body, as text/plain."),
  json: z.unknown().optional().describe("The body, any value, as application/json."),
});

export const redirectSchema = z.strictObject({
  to: location().describe("The value of Location: an absolute URL or an absolute path."),
  status: oneOf([301, 302, 303, 307, 308])
    .prefault(302)
    .describe("301 and 308 are permanent; 307 and 308 keep method and body."),
});

/** @param step the schema of one step, for the JSON Schema; steps are read by `steps.ts`. */
export function routeSchema<Step extends z.ZodType>(step: Step) {
  return z.strictObject({
    name: itemName().optional().describe("For logs, metrics and the admin API. Default `routes[N]`."),
    match: matchSchema.default({}).describe("What a request must have; without it every request matches."),
    rewrite: z
      .strictObject({
        strip_prefix: plainPath()
          .optional()
          .describe("Whole segments to take off the front; other paths stay."),
        replace: plainPath()
          .optional()
          .describe("Stands in the place of the whole path, or of strip_prefix where that is given."),
      })
      .optional()
      .describe("Changes the path before the steps and the upstream see it; the query stays."),
    pipeline: z.array(step).default([]).describe("Steps, from top to bottom on the way in."),
    upstream: text("the name of an upstream").optional().describe("Where the request goes."),
    respond: respondSchema.optional().describe("Answers at once."),
    redirect: redirectSchema.optional().describe("Answers with a redirect."),
  });
}

export type RouteInput = z.output<ReturnType<typeof routeSchema<z.ZodUnknown>>>;

/** The keys of which a route has one. */
export const ACTIONS = ["upstream", "respond", "redirect"] as const;

/** What answers a route's requests, once its schema accepted it. */
export function actionOf(value: RouteInput, node: ConfigNode, path: Path, problems: Problems): RouteAction {
  if (value.respond !== undefined) {
    return respondOf(value.respond, child(node, "respond") ?? node, [...path, "respond"], problems);
  }
  if (value.redirect !== undefined) {
    return { kind: "redirect", status: value.redirect.status, location: value.redirect.to };
  }
  return { kind: "upstream", upstream: value.upstream };
}

function respondOf(
  { status, headers, body, json }: z.output<typeof respondSchema>,
  node: ConfigNode,
  path: Path,
  problems: Problems,
): RouteAction {
  const written = entryOf(node, "json") ?? entryOf(node, "body");
  if (written !== undefined && entryOf(node, "body") !== undefined && entryOf(node, "json") !== undefined) {
    problems.error(
      written.keyPlace,
      formatPath([...path, "json"]),
      "stands beside body, expected one of the two",
    );
  }
  // RFC 9110 §15.3.5, §15.3.6, §15.4.5: these end with their header section.
  if (written !== undefined && (status === 204 || status === 205 || status === 304)) {
    problems.error(
      written.keyPlace,
      formatPath([...path, written.key]),
      `an answer with status ${status} has no body`,
    );
  }
  const list = Object.entries(headers);
  const isJson = entryOf(node, "json") !== undefined;
  if (written !== undefined && !list.some(([name]) => name === "content-type")) {
    list.push(["content-type", isJson ? "application/json" : "text/plain; charset=utf-8"]);
  }
  return {
    kind: "respond",
    status,
    headers: list,
    body: isJson ? JSON.stringify(json ?? null) : (body ?? ""),
  };
}
