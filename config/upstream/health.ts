import { headerMap } from "sluice/plugin";
import { z } from "zod";
import { formatDuration } from "../durations.ts";
import { child, entriesOf, textOf } from "../node.ts";
import { oneOrMany, Refused, scalar } from "../scalar.ts";
import type { HealthConfig } from "../types.ts";
import { count, duration, fieldValue, oneOf, text } from "../values.ts";
import type { Section } from "./section.ts";

const PATH_EXPECTED = "an absolute path such as /healthz";

/** A request target in origin form (RFC 9112 §3.2.1); a query is a part of it. */
const checkPath = () =>
  scalar(PATH_EXPECTED, { type: "string", pattern: "^/[\\x21-\\x7e]*$" }, (value) =>
    typeof value === "string" && /^\/(?![^?]*\*)[\x21-\x7e]*$/.test(value) && !/[#\\]/.test(value)
      ? value
      : new Refused(),
  );

const authority = () =>
  scalar(
    "a host such as app.internal or app.internal:8080",
    { type: "string", pattern: "^[\\w.:[\\]-]+$" },
    (value) => (typeof value === "string" && /^[\w.:[\]-]+$/.test(value) ? value : new Refused()),
  );

const statusRange = () =>
  scalar(
    'a status such as 200, "2xx" or "200-399"',
    {
      anyOf: [
        { type: "integer", minimum: 200, maximum: 599 },
        { type: "string", pattern: "^[2-5]" },
      ],
    },
    (value): [number, number] | Refused => {
      const [, hundreds, first, last = first] =
        /^(?:([2-5])xx|([2-5]\d\d)(?:-([2-5]\d\d))?)$/i.exec(String(value)) ?? [];
      if (hundreds !== undefined) return [Number(hundreds) * 100, Number(hundreds) * 100 + 99];
      if (first === undefined) return new Refused();
      const range: [number, number] = [Number(first), Number(last)];
      return range[0] <= range[1] ? range : new Refused({ because: "it ends before it begins" });
    },
  );

export const healthSchema = z
  .strictObject({
    path: checkPath().optional().describe("An HTTP check of this path; a query may follow."),
    grpc: z
      .union([
        z.literal(true),
        z.strictObject({
          service: z.string().default("").describe("Service to ask after. Default the server as a whole."),
        }),
      ])
      .optional()
      .describe("A gRPC check (grpc.health.v1); true asks after the server as a whole."),
    tcp: z.literal(true).optional().describe("A check that connects, and no more: nothing is sent."),
    method: oneOf(["GET", "HEAD"]).prefault("GET").describe("Of an HTTP check."),
    host: authority().optional().describe("Host or :authority of the check. Default the target's own."),
    headers: headerMap(fieldValue()).default({}).describe("Header fields of the check."),
    status: oneOrMany(statusRange())
      .prefault("2xx")
      .describe("Statuses of an HTTP check that are healthy: 200, `2xx` or `200-399`, or a list of them."),
    body: text("text of a healthy answer")
      .optional()
      .describe("Text that the first 64 KiB of a healthy answer hold."),
    interval: duration().prefault("5s").describe("Between two checks of a target."),
    timeout: duration()
      .optional()
      .describe("A check without an answer by then has failed. Default 2s, or interval where it is shorter."),
    fall: count(1, 1000).prefault(3).describe("Failures in a row until a target is left out."),
    rise: count(1, 1000).prefault(2).describe("Successes in a row until it is asked again."),
  })
  .optional()
  .describe("Active checks: one of path, grpc and tcp.");

type Value = NonNullable<z.output<typeof healthSchema>>;

const KINDS = ["path", "grpc", "tcp"] as const;

/** What only some kinds of checks look at. */
const OF_HTTP = ["method", "status", "body"];
const OF_REQUESTS = ["host", "headers"];

/** Reports a check of no kind, of several kinds, and of one that cannot be made; warns of what it does not look at. */
export function checkHealth(upstream: Section): void {
  const health = upstream.mapping("health");
  if (health === undefined) return;
  const [kind, ...others] = KINDS.filter((key) => health.has(key));
  if (kind === undefined) health.missing("path", `${PATH_EXPECTED}, or grpc: true or tcp: true instead`);
  for (const other of others)
    health.at(other)?.error(`stands beside ${kind}, expected one of path, grpc and tcp`);
  for (const { key } of entriesOf(child(health.node, "headers"))) {
    if (key.toLowerCase() === "host") health.at("headers")?.at(key)?.error("is set by health.host");
  }
  const protocol = upstream.at("protocol")?.node;
  if (kind === "grpc" && (protocol === undefined || textOf(protocol) === "http1")) {
    health.at("grpc")?.error("needs protocol grpc or http2, the targets are spoken to in http1");
  }
  if (kind === undefined || others.length > 0) return;
  const unused = kind === "path" ? [] : kind === "grpc" ? OF_HTTP : [...OF_HTTP, ...OF_REQUESTS];
  for (const key of unused) health.at(key)?.warn(`is never used, a ${kind} check has no use for it`);
  const method = health.at("method")?.node;
  if (textOf(method) === "HEAD") health.at("body")?.error("is never there, an answer to HEAD has no body");
}

export function warnOfHealth({ interval, timeout }: Value, upstream: Section): void {
  if (timeout !== undefined && timeout > interval) {
    upstream
      .mapping("health")
      ?.at("timeout")
      ?.warn(`is longer than interval (${formatDuration(interval)})`);
  }
}

export function healthOf(value: Value): HealthConfig {
  const { path, grpc, tcp, method, host, headers, status, body, interval, fall, rise } = value;
  return {
    kind: grpc !== undefined ? "grpc" : tcp !== undefined ? "tcp" : "http",
    path: path ?? "",
    ...{ method, host, headers: Object.entries(headers), statuses: status, body },
    service: typeof grpc === "object" ? grpc.service : "",
    interval,
    timeout: value.timeout ?? Math.min(DEFAULT_TIMEOUT, interval),
    ...{ fall, rise },
  };
}

const DEFAULT_TIMEOUT = 2_000;

/** In the words of the YAML. */
export function plainHealth(health: HealthConfig): object {
  const { kind, path, method, host, headers, statuses, body, service } = health;
  const request = { host, headers: headers.length === 0 ? undefined : Object.fromEntries(headers) };
  const kinds = {
    http: { path, method, ...request, status: statuses.map(plainRange), body },
    grpc: { grpc: service === "" ? true : { service }, ...request },
    tcp: { tcp: true },
  };
  return {
    ...kinds[kind],
    interval: formatDuration(health.interval),
    timeout: formatDuration(health.timeout),
    fall: health.fall,
    rise: health.rise,
  };
}

function plainRange([from, to]: readonly [number, number]): string {
  if (from === to) return String(from);
  return from % 100 === 0 && to === from + 99 ? `${from / 100}xx` : `${from}-${to}`;
}
