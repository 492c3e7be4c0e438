import { nearest } from "sluice/plugin";
import { dirname } from "node:path";
import { z } from "zod";
import { child, type ConfigNode, formatPath, itemsOf, type Path } from "./node.ts";
import { readNode } from "./read-node.ts";
import { Refused, scalar, unavailable } from "./scalar.ts";
import { pathFrom, type Scope } from "./scope.ts";
import { describe } from "./secrets.ts";
import { parseTarget, TARGET_EXPECTED, TARGET_PATTERN } from "./target-url.ts";
import { checkCertificates, checkKeyPair } from "./tls-files.ts";
import type { TargetConfig, UpstreamConfig, UpstreamTlsConfig } from "./types.ts";
import { count, duration, durationOrNone, exactPath, filePath, oneOf, text } from "./values.ts";

const targetUrl = () =>
  scalar(TARGET_EXPECTED, { type: "string", pattern: TARGET_PATTERN }, (value) => {
    const parsed = typeof value === "string" ? parseTarget(value, "/") : "the scheme is missing";
    return typeof parsed === "string" ? new Refused({ because: parsed }) : String(value);
  });

const RETRY_WORDS = ["connect", "reset", "timeout", "5xx"];

const retryCondition = () =>
  scalar(
    "connect, reset, timeout, 5xx, or a status such as 503",
    { anyOf: [{ enum: RETRY_WORDS }, { type: ["string", "integer"], pattern: "^[45]\\d\\d$" }] },
    (value) => {
      const written = String(value);
      if (RETRY_WORDS.includes(written) || /^[45]\d\d$/.test(written)) return written;
      const suggestion = nearest(written, RETRY_WORDS);
      return new Refused(suggestion === undefined ? {} : { suggestion });
    },
  );

export const upstreamSchema = z.strictObject({
  kind: oneOf(["http"], /^(openai|anthropic|kserve)$/)
    .prefault("http")
    .describe("The dialect of the targets."),
  protocol: oneOf(["http1", "http2", "grpc"])
    .prefault("http1")
    .describe(
      "What is spoken to the targets. HTTP/2 and gRPC use prior knowledge over http, ALPN over https.",
    ),
  targets: z
    .array(
      z.union([
        targetUrl().transform((url) => ({ url, weight: 1 })),
        z.strictObject({
          url: targetUrl().describe(
            "`http://`, `https://` or `unix:/path`; a path is put before each request's.",
          ),
          weight: z.number().positive().max(1_000_000).default(1).describe("Share of the requests."),
        }),
      ]),
    )
    .min(1)
    .describe("Where the requests go."),
  balance: oneOf(["round-robin"], /^(least-requests|peak-ewma|consistent-hash|random)$/)
    .prefault("round-robin")
    .describe("How a target is chosen; round-robin is weighted and smooth."),
  timeouts: z
    .strictObject({
      connect: durationOrNone().prefault("5s").describe("TCP and TLS together."),
      first_byte: durationOrNone()
        .optional()
        .describe(
          "From the request's end to the answer's head. Default 1m; none for gRPC, whose calls carry deadlines.",
        ),
      idle: durationOrNone().prefault("5m").describe("Between two pieces of the answer."),
      request: durationOrNone().prefault("none").describe("The whole exchange."),
    })
    .prefault({})
    .describe("How long an upstream may take; 504 above it."),
  pool: z
    .strictObject({
      max_connections: count(1).prefault(1024).describe("Connections of a target."),
      idle_timeout: duration().prefault("1m").describe("An unused connection is closed after this."),
      max_age: durationOrNone()
        .prefault("1h")
        .describe(
          "A connection takes no new request after about this, so that what has moved is found again.",
        ),
      max_pending: count(0).prefault(1024).describe("Requests that may wait for a connection; 503 above it."),
    })
    .prefault({})
    .describe("Connections to the targets."),
  tls: z
    .strictObject({
      ca: filePath().optional().describe("PEM file of the authorities to trust instead of the system's."),
      cert: filePath().optional().describe("PEM file of the certificate to show."),
      key: filePath().optional().describe("PEM file of its private key."),
      server_name: text("a host name")
        .optional()
        .describe("Name for SNI and verification. Default the target's host."),
      verify: z.boolean().default(true).describe("Whether the target's certificate must be valid."),
    })
    .optional()
    .describe("For https targets."),
  health: z
    .strictObject({
      path: exactPath().optional().describe("Path of the check; 2xx is healthy. Required."),
      interval: duration().prefault("5s").describe("Between two checks."),
      timeout: duration().prefault("2s").describe("A check without an answer by then has failed."),
      fall: count(1, 1000).prefault(3).describe("Failures in a row until a target is left out."),
      rise: count(1, 1000).prefault(2).describe("Successes in a row until it is asked again."),
      grpc: unavailable(),
    })
    .optional()
    .describe("Active checks. Accepted in this version, and not yet acted on."),
  retries: z
    .strictObject({
      attempts: count(1, 10).prefault(2).describe("All tries, the first included."),
      on: z.array(retryCondition()).min(1).prefault(["connect", "reset"]).describe("What is tried again."),
    })
    .optional()
    .describe("Further tries where they are safe. Accepted in this version, and not yet acted on."),
  outlier: unavailable(),
  api_key: unavailable(),
  limits: unavailable(),
});

type Value = z.output<typeof upstreamSchema>;

/** One entry of `upstreams`. */
export function readUpstream(
  name: string,
  node: ConfigNode,
  path: Path,
  scope: Scope,
): UpstreamConfig | undefined {
  checkTls(child(node, "tls"), [...path, "tls"], scope);
  checkHealth(child(node, "health"), [...path, "health"], scope);
  const value = readNode(upstreamSchema, node, path, scope.problems)?.value;
  if (value === undefined) return undefined;
  const targets = readTargets(value, node, [...path, "targets"], scope);
  const tls = child(node, "tls");
  if (tls !== undefined && targets.every(({ scheme }) => scheme !== "https")) {
    scope.problems.warn(tls.place, formatPath([...path, "tls"]), "is never used, no target is an https URL");
  }
  const { connect, idle, request } = value.timeouts;
  // A gRPC call carries its own deadline, and a stream may rightly stay silent.
  const firstByte =
    "first_byte" in value.timeouts
      ? value.timeouts.first_byte
      : value.protocol === "grpc"
        ? undefined
        : 60_000;
  return {
    name,
    kind: value.kind,
    protocol: value.protocol,
    targets,
    balance: value.balance,
    timeouts: { connect, firstByte, idle, request },
    pool: {
      maxConnections: value.pool.max_connections,
      idleTimeout: value.pool.idle_timeout,
      maxAge: value.pool.max_age,
      maxPending: value.pool.max_pending,
    },
    tls: value.tls === undefined ? undefined : tlsOf(value.tls, tls ?? node),
    health: healthOf(value.health),
    retries: value.retries,
    place: node.place,
  };
}

function readTargets(value: Value, node: ConfigNode, path: Path, scope: Scope): TargetConfig[] {
  const items = itemsOf(child(node, "targets"));
  const seen = new Map<string, ConfigNode>();
  const targets: TargetConfig[] = [];
  for (const [index, { url, weight }] of value.targets.entries()) {
    const item = items[index] ?? node;
    const at = item.kind === "mapping" ? (child(item, "url") ?? item) : item;
    const parsed = parseTarget(url, dirname(at.place.file));
    if (typeof parsed === "string") continue;
    const first = seen.get(parsed.url);
    if (first !== undefined) {
      const also = { label: "first at", place: first.place };
      const message = `duplicate target ${describe(at)}`;
      scope.problems.error(at.place, formatPath([...path, index]), message, { also });
    }
    seen.set(parsed.url, at);
    targets.push({ ...parsed, weight });
  }
  return targets;
}

// Where the gRPC check is asked for, a path would be wrong: that it is refused is said already.
function checkHealth(health: ConfigNode | undefined, path: Path, scope: Scope): void {
  if (
    health?.kind !== "mapping" ||
    child(health, "path") !== undefined ||
    child(health, "grpc") !== undefined
  )
    return;
  const message = "is missing, expected an absolute path such as /healthz";
  scope.problems.error(health.place, formatPath([...path, "path"]), message);
}

function checkTls(tls: ConfigNode | undefined, path: Path, scope: Scope): void {
  if (tls?.kind !== "mapping") return;
  checkCertificates(child(tls, "ca"), [...path, "ca"], scope);
  const has = { cert: child(tls, "cert") !== undefined, key: child(tls, "key") !== undefined };
  if (has.cert !== has.key) {
    const missing = has.cert ? "key" : "cert";
    const message = "is missing, expected the path of a file: cert and key go together";
    scope.problems.error(tls.place, formatPath([...path, missing]), message);
  }
  checkKeyPair(tls, path, scope);
}

function tlsOf(value: NonNullable<Value["tls"]>, node: ConfigNode): UpstreamTlsConfig {
  const file = (name: "ca" | "cert" | "key"): string | undefined => {
    const written = value[name];
    return written === undefined ? undefined : pathFrom(child(node, name), written, node);
  };
  return {
    ca: file("ca"),
    cert: file("cert"),
    key: file("key"),
    serverName: value.server_name,
    verify: value.verify,
  };
}

function healthOf(value: Value["health"]): UpstreamConfig["health"] {
  if (value === undefined) return undefined;
  const { path, interval, timeout, fall, rise } = value;
  return { path, grpc: false, interval, timeout, fall, rise };
}
