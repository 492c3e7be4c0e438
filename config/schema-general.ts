import { z } from "zod";
import { formatAddress, isLoopback } from "./address.ts";
import { child, type ConfigNode, formatPath, itemsOf, type Path } from "./node.ts";
import { isEverything, NETWORK_EXPECTED, parseNetwork } from "./network.ts";
import { TOKEN } from "sluice/plugin";
import { readNode } from "./read-node.ts";
import { Refused, scalar, unavailable } from "./scalar.ts";
import { readAddress } from "./schema-listener.ts";
import type { Scope } from "./scope.ts";
import type { AdminConfig, LogConfig } from "./types.ts";
import { address, duration, network, oneOf, text } from "./values.ts";

const trustedNetwork = () =>
  scalar(`${NETWORK_EXPECTED}, or unix`, { type: "string" }, (value) => {
    if (value === "unix") return value;
    return (typeof value === "string" ? parseNetwork(value) : undefined) ?? new Refused();
  });

const fieldOrParameter = () =>
  scalar(
    "the name of a header or of a query parameter",
    { type: "string", pattern: TOKEN.source },
    (value) => (typeof value === "string" && TOKEN.test(value) ? value.toLowerCase() : new Refused()),
  );

export const adminSchema = z.strictObject({
  address: address().prefault("127.0.0.1:9901").describe("`host:port`, `[::1]:port` or `unix:/path`."),
  token: text("a token that is not empty")
    .optional()
    .describe(
      "Asked for as `Authorization: Bearer`. Without one, GETs from loopback are open and the rest is refused.",
    ),
  allow: z.array(network()).default([]).describe("Networks that may connect. Default every address."),
});

export const logSchema = z.strictObject({
  level: oneOf(["debug", "info", "warn", "error"])
    .prefault("info")
    .describe("The least important line that is written."),
  format: oneOf(["json", "pretty"]).prefault("json").describe("One JSON object a line, or lines for people."),
  access: z.boolean().default(true).describe("One line a request."),
  redact: z
    .array(fieldOrParameter())
    .default([])
    .describe("Headers and query parameters whose values are masked, beside the built-in list."),
});

/** The keys of the top level that are one value or one small mapping. */
export const GENERAL = {
  version: oneOf([1]).describe("The version of this format."),
  trusted_proxies: z
    .array(trustedNetwork())
    .default([])
    .describe(
      "Networks whose forwarding headers and PROXY headers are believed; `unix` is the peers on unix sockets.",
    ),
  admin: adminSchema
    .optional()
    .describe("The admin API, dashboard and metrics, on a listener of their own. Default none."),
  workers: oneOf([1], /^(auto|[2-9]|[1-9]\d+)$/)
    .prefault(1)
    .describe("Processes that share the port."),
  store: oneOf(["memory"], /^(sqlite:|rediss?:)/)
    .prefault("memory")
    .describe("Where shared counters live."),
  log: logSchema.prefault({}).describe("What is written to standard output."),
  telemetry: unavailable(),
  shutdown_timeout: duration()
    .prefault("30s")
    .describe("How long running requests may take to finish after SIGTERM."),
  prices: unavailable(),
};

export function readAdmin(node: ConfigNode, scope: Scope): AdminConfig | undefined {
  const value = readNode(adminSchema, node, ["admin"], scope.problems)?.value;
  if (value === undefined) return undefined;
  const at = child(node, "address") ?? node;
  const parsed = readAddress(value.address, at, ["admin", "address"], scope);
  if (parsed === undefined) return undefined;
  if (value.token === undefined && !isLoopback(parsed)) {
    const message = `${formatAddress(parsed)} is open to other machines, which are refused everything without a token`;
    scope.problems.warn(at.place, "admin.address", message);
  }
  return { address: parsed, token: value.token, allow: value.allow, place: node.place };
}

export function readLog(node: ConfigNode | undefined, scope: Scope): LogConfig | undefined {
  if (node === undefined) return logSchema.parse({});
  return readNode(logSchema, node, ["log"], scope.problems)?.value;
}

export function readTrustedProxies(
  node: ConfigNode | undefined,
  scope: Scope,
): readonly string[] | undefined {
  if (node === undefined) return [];
  const path: Path = ["trusted_proxies"];
  const value = readNode(GENERAL.trusted_proxies, node, path, scope.problems)?.value;
  for (const [index, written] of (value ?? []).entries()) {
    if (!isEverything(written)) continue;
    const at = itemsOf(node)[index] ?? node;
    scope.problems.warn(
      at.place,
      formatPath([...path, index]),
      "everybody is trusted: any client can forge its address",
    );
  }
  return value;
}
