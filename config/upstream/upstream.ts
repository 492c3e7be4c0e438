import { z } from "zod";
import { child, type ConfigNode, type Path } from "../node.ts";
import { readNode } from "../read-node.ts";
import { unavailable } from "../scalar.ts";
import type { Scope } from "../scope.ts";
import { formatShare } from "../shares.ts";
import type { TargetConfig, UpstreamConfig, UpstreamTimeouts } from "../types.ts";
import { oneOf } from "../values.ts";
import { balanceShape, checkHash, hashOf, plainHash, warnOfBalance } from "./balance.ts";
import {
  checkCircuitBreaker,
  circuitBreakerOf,
  circuitBreakerSchema,
  plainCircuitBreaker,
} from "./circuit-breaker.ts";
import { checkDns, dnsOf, dnsSchema, plainDns, warnOfDns } from "./dns.ts";
import { checkHealth, healthOf, healthSchema, plainHealth, warnOfHealth } from "./health.ts";
import { hedgeOf, hedgeSchema, plainHedge, warnOfHedge } from "./hedge.ts";
import {
  bulkheadOf,
  limitsShape,
  plainDuration,
  plainLimits,
  poolOf,
  targetLimitsOf,
  timeoutsOf,
  warnOfLimits,
} from "./limits.ts";
import { checkEjections, checkOutlier, outlierOf, outlierSchema, plainOutlier } from "./outlier.ts";
import { checkRetries, crossCheckRetries, plainRetries, retriesOf, retriesSchema } from "./retries.ts";
import { Section } from "./section.ts";
import { hasName, plainTarget, readTargets, targetsSchema } from "./targets.ts";
import { checkTls, plainTls, tlsOf, tlsSchema, warnOfTls } from "./tls.ts";

export const upstreamSchema = z.strictObject({
  kind: oneOf(["http"], /^(openai|anthropic|kserve)$/)
    .prefault("http")
    .describe("The dialect of the targets."),
  protocol: oneOf(["http1", "http2", "grpc"])
    .prefault("http1")
    .describe(
      "What is spoken to the targets. HTTP/2 and gRPC use prior knowledge over http, ALPN over https.",
    ),
  targets: targetsSchema.min(1).describe("Where the requests go."),
  ...balanceShape,
  ...limitsShape,
  dns: dnsSchema,
  tls: tlsSchema,
  health: healthSchema,
  outlier: outlierSchema,
  retries: retriesSchema,
  hedge: hedgeSchema,
  circuit_breaker: circuitBreakerSchema,
  api_key: unavailable(),
});

type Value = z.output<typeof upstreamSchema>;

/** One entry of `upstreams`. */
export function readUpstream(
  name: string,
  node: ConfigNode,
  path: Path,
  scope: Scope,
): UpstreamConfig | undefined {
  const upstream = new Section(node, path, scope.problems);
  // What the document alone tells, so that it is said beside whatever the schema refuses.
  checkTls(upstream, scope);
  for (const check of [checkHash, checkHealth, checkOutlier, checkRetries, checkCircuitBreaker])
    check(upstream);
  const value = readNode(upstreamSchema, node, path, scope.problems)?.value;
  if (value === undefined) return undefined;
  const { kind, protocol, tls, health, outlier, retries, hedge, circuit_breaker } = value;
  const targets = readTargets(value.targets, child(node, "targets") ?? node, [...path, "targets"], scope);
  const timeouts = timeoutsOf(value.timeouts, protocol);
  crossCheck(value, { targets, timeouts }, upstream, scope);
  return {
    ...{ name, kind, protocol, targets, timeouts },
    balance: value.balance,
    hash: hashOf(value.hash),
    slowStart: value.slow_start,
    panicThreshold: value.panic_threshold,
    pool: poolOf(value.pool),
    limits: targetLimitsOf(value.limits),
    dns: dnsOf(value.dns),
    tls: tls === undefined ? undefined : tlsOf(tls, child(node, "tls") ?? node),
    health: health === undefined ? undefined : healthOf(health),
    outlier: outlier === undefined ? undefined : outlierOf(outlier),
    retries: retries === undefined ? undefined : retriesOf(retries),
    hedge: hedge === undefined ? undefined : hedgeOf(hedge),
    circuitBreaker: circuit_breaker === undefined ? undefined : circuitBreakerOf(circuit_breaker),
    bulkhead: bulkheadOf(value.bulkhead),
    place: node.place,
  };
}

/** What takes several keys to see. */
function crossCheck(
  value: Value,
  { targets, timeouts }: { readonly targets: readonly TargetConfig[]; readonly timeouts: UpstreamTimeouts },
  upstream: Section,
  scope: Scope,
): void {
  const { health, outlier, retries, hedge } = value;
  warnOfTls(targets, upstream);
  warnOfBalance(value, targets, upstream);
  warnOfLimits(value, upstream);
  checkDns(value.dns, upstream);
  warnOfDns(targets, upstream);
  if (health !== undefined) warnOfHealth(health, upstream);
  if (outlier !== undefined) checkEjections(outlier, upstream);
  if (retries !== undefined) crossCheckRetries(retries, timeouts, upstream, scope.problems);
  if (hedge !== undefined) warnOfHedge(hedge, timeouts, upstream, scope.problems);
}

/** An upstream in the words of the YAML: everything that has an effect, defaults filled in. */
export function plainUpstream(upstream: UpstreamConfig): object {
  const { kind, protocol, targets, balance, hash, slowStart, panicThreshold, dns } = upstream;
  const { tls, health, outlier, retries, hedge, circuitBreaker } = upstream;
  return {
    ...{ kind, protocol, targets: targets.map(plainTarget), balance },
    hash: balance === "consistent-hash" ? plainHash(hash) : undefined,
    slow_start: plainDuration(slowStart),
    panic_threshold: formatShare(panicThreshold),
    ...plainLimits(upstream),
    dns: targets.some(hasName) ? plainDns(dns) : undefined,
    tls: tls === undefined ? undefined : plainTls(tls),
    health: health === undefined ? undefined : plainHealth(health),
    outlier: outlier === undefined ? undefined : plainOutlier(outlier),
    retries: retries === undefined ? undefined : plainRetries(retries),
    hedge: hedge === undefined ? undefined : plainHedge(hedge),
    circuit_breaker: circuitBreaker === undefined ? undefined : plainCircuitBreaker(circuitBreaker),
  };
}
