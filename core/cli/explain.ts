import { type HeaderList, SluiceError, TOKEN } from "sluice/plugin";
import { formatPlace } from "../../config/index.ts";
import type { Config, ConditionConfig, RouteConfig } from "../../config/types.ts";
import { admittedHeaders } from "../forward/admit.ts";
import { normalizeTarget } from "../pipeline/path.ts";
import { compileRewrite } from "../pipeline/rewrite.ts";
import { compileRouter, type RouteFacts } from "../pipeline/router.ts";
import { type Command, CONFIG_OPTION, EXIT, type Options, parse, UsageError } from "./command.ts";
import { lookAt } from "./load-or-report.ts";

const OPTIONS = {
  ...CONFIG_OPTION,
  header: {
    type: "string",
    short: "H",
    multiple: true,
    value: "'name: value'",
    meaning: "a header field of the request; host is one of them",
  },
} as const satisfies Options;

export const explain: Command = {
  name: "explain",
  usage: "explain [-c FILE] METHOD URL [-H 'name: value']...",
  summary: "shows which route a request takes and why, its steps in order, and its upstream",
  options: OPTIONS,
  async run(args, terminal) {
    const { values, positionals } = parse(args, OPTIONS, 2);
    const [method, url] = positionals;
    if (method === undefined || url === undefined) throw new UsageError("expected METHOD and URL");
    const facts = factsOf(method, url, values.header ?? []);
    const config = await lookAt(values.config, terminal);
    if (config === undefined) return EXIT.failed;
    const lines = explained(config, facts, terminal.cwd);
    terminal.out(lines.join("\n"));
    return EXIT.ok;
  },
};

/** The request as the gateway would see it. @throws UsageError */
function factsOf(word: string, url: string, headers: readonly string[]): RouteFacts {
  const method = word.toUpperCase();
  if (!TOKEN.test(word))
    throw new UsageError(`${JSON.stringify(word)} would be answered 400: no valid method`);
  if (method === "CONNECT") throw new UsageError("CONNECT would be answered 501: it is not served");
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(url);
  const target = absolute !== null || url.startsWith("/") || url === "*" ? url : `/${url}`;
  // The gateway sees bytes, one character each.
  const normal = normalizeTarget(Buffer.from(target).toString("latin1"), method);
  if (normal === undefined)
    throw new UsageError(`${JSON.stringify(url)} would be answered 400: no valid target`);
  const fields: [string, string][] = [];
  let host = absolute?.[1] ?? "localhost";
  for (const header of headers) {
    const colon = header.indexOf(":");
    const name = header.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    if (!TOKEN.test(name)) throw new UsageError(`expected -H 'name: value', got ${JSON.stringify(header)}`);
    const value = header.slice(colon + 1).trim();
    if (name === "host") host = value;
    else fields.push([name, value]);
  }
  return { method, host, path: normal.path, search: normal.search, headers: admitted(fields) };
}

/** The fields that routes are matched with: those of a stranger, as the gateway lets them in. */
function admitted(fields: readonly (readonly [string, string])[]): HeaderList {
  try {
    return admittedHeaders(fields, false);
  } catch (error) {
    if (error instanceof SluiceError)
      throw new UsageError(`the headers would be answered ${error.status}: ${error.message}`);
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function explained(config: Config, facts: RouteFacts, cwd: string): string[] {
  const { method, host, path, search } = facts;
  const verdicts = compileRouter(config.routes).explain(facts);
  const lines = [`${method} ${path}${asTyped(search)} (host ${host})`, ""];
  for (const { route, outcome, reasons } of verdicts) {
    const { name, place } = config.routes[route]!;
    const why =
      outcome === "missed"
        ? `no: ${reasons.join("; ")}`
        : outcome === "taken"
          ? "yes"
          : "would match, but an earlier route does";
    lines.push(`  ${name} (${formatPlace(place, cwd)}): ${why}`);
    // What comes after the match is of no interest to most; the verdicts of later routes show only when asked.
    if (outcome === "taken") break;
  }
  const taken = verdicts.find((verdict) => verdict.outcome === "taken");
  if (taken === undefined) return [...lines, "", "route: none, answered 404 not_found"];
  const route = config.routes[taken.route]!;
  return [...lines, "", `route: ${route.name}`, ...stepLines(route), ...actionLines(config, route, facts)];
}

/** A query's bytes, in which nothing is escaped that was not. */
function asTyped(search: string): string {
  return Buffer.from(search, "latin1").toString();
}

function stepLines(route: RouteConfig): string[] {
  if (route.steps.length === 0) return ["steps: none"];
  return [
    "steps:",
    ...route.steps.map((step, index) => {
      const extras = [
        step.when === undefined ? "" : `when ${conditionText(step.when)}`,
        step.onError === "continue" ? "on_error continue" : "",
        `timeout ${step.timeout} ms`,
      ].filter((extra) => extra !== "");
      return `  ${index + 1}. ${step.plugin} [${step.key}] (${extras.join(", ")})`;
    }),
  ];
}

function actionLines(config: Config, route: RouteConfig, facts: RouteFacts): string[] {
  const { action } = route;
  if (action.kind === "respond") return [`answer: ${action.status} by the gateway`];
  if (action.kind === "redirect") return [`answer: ${action.status} to ${action.location}`];
  const path = compileRewrite(route.rewrite)(facts.path);
  const forwarded = `forwards: ${facts.method} ${path}${asTyped(facts.search)}`;
  if (action.upstream === undefined) return ["upstream: chosen by a step", forwarded];
  const upstream = config.upstreams.find((candidate) => candidate.name === action.upstream);
  if (upstream === undefined) return [`upstream: ${action.upstream}`];
  const first = Math.min(...upstream.targets.map(({ priority }) => priority));
  const total = upstream.targets.reduce(
    (sum, { weight, priority }) => (priority === first ? sum + weight : sum),
    0,
  );
  return [
    `upstream: ${upstream.name} (${upstream.protocol}, ${upstream.balance})`,
    ...upstream.targets.map(({ url, weight, priority }) =>
      priority === first
        ? `  ${url} (weight ${weight}, ${Math.round((weight / total) * 100)} % of requests)`
        : `  ${url} (weight ${weight}, priority ${priority}: only while nobody before may be asked)`,
    ),
    forwarded,
  ];
}

function conditionText(condition: ConditionConfig): string {
  // Of hosts or methods one must hold, of header fields and query parameters all.
  const each = (what: string, pairs: readonly (readonly [string, string | true])[]): [string, string[]][] =>
    pairs.map(([name, value]) => [what, [value === true ? name : `${name}=${value}`]]);
  const parts: [string, readonly string[]][] = [
    ["host", condition.hosts],
    ["path", condition.path === undefined ? [] : [condition.path]],
    ["method", condition.methods],
    ...each("header", condition.headers),
    ...each("query", condition.query),
    ["consumer", condition.consumers],
    ["tenant", condition.tenants],
    ["protocol", condition.protocols],
  ];
  const held = parts
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => `${name} ${values.join("|")}`);
  if (condition.not !== undefined) held.push(`not (${conditionText(condition.not)})`);
  return held.join(" and ");
}
