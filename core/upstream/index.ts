import type { Clock, Log, Random, Upstreams } from "sluice/plugin";
import { createHash } from "node:crypto";
import type { TargetConfig, UpstreamConfig } from "../../config/types.ts";
import { createHttp1Transport } from "./http1-transport.ts";
import { createHttp2Transport } from "./http2-transport.ts";
import type { TransportOptions } from "./pooled-transport.ts";
import { Target, type TargetState } from "./target.ts";
import { loadTls, type TlsMaterial } from "./tls-material.ts";
import type { Transport } from "./transport.ts";
import { Upstream } from "./upstream.ts";

export { isIdempotent } from "./idempotent.ts";
export type { Target } from "./target.ts";
export type { Cancellable, OutboundRequest, Progress, Transport, UpstreamAnswer } from "./transport.ts";
export type { Upstream } from "./upstream.ts";

export interface UpstreamServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** State that outlives a reload; see `Services.keep`. */
  readonly keep: <T>(key: string, create: () => T, close?: (value: T) => void | Promise<void>) => T;
}

/** Every upstream of one generation of the configuration. */
export interface UpstreamSet {
  get(name: string): Upstream | undefined;
  /** What plugins see. */
  readonly views: Upstreams;
}

/**
 * Makes the upstreams of a configuration. Nothing is connected yet. A target whose address, protocol, TLS
 * (contents of its files included) and pool settings are what they were keeps its connections.
 * @throws ConfigError for TLS files that are of no use
 */
export function createUpstreams(configs: readonly UpstreamConfig[], services: UpstreamServices): UpstreamSet {
  const upstreams = new Map<string, Upstream>();
  for (const config of configs) upstreams.set(config.name, createUpstream(config, services));
  return {
    get: (name) => upstreams.get(name),
    views: { get: (name) => upstreams.get(name)?.view, names: [...upstreams.keys()] },
  };
}

function createUpstream(config: UpstreamConfig, services: UpstreamServices): Upstream {
  const material = config.targets.some((target) => target.scheme === "https") ? loadTls(config) : undefined;
  const targets = config.targets.map((target) => {
    const tls = target.scheme === "https" ? material : undefined;
    const state = services.keep(
      stateKey(config, target, tls),
      (): TargetState => ({ transport: createTransport(config, { target, tls, ...services }), inFlight: 0 }),
      (kept) => kept.transport.close(),
    );
    return new Target(target, state);
  });
  return new Upstream(config, targets);
}

function createTransport(
  config: UpstreamConfig,
  options: Pick<TransportOptions, "target" | "tls" | "clock">,
): Transport {
  const { target, tls, clock } = options;
  const create = config.protocol === "http1" ? createHttp1Transport : createHttp2Transport;
  return create({ target, tls, clock, pool: config.pool });
}

/** What a target's connections depend on. Weight and timeouts are no part of it: they may change under them. */
function stateKey(config: UpstreamConfig, target: TargetConfig, tls: TlsMaterial | undefined): string {
  const { maxConnections, idleTimeout, maxAge = null, maxPending } = config.pool;
  return `target:${JSON.stringify([
    config.name,
    target.scheme,
    target.host,
    target.port,
    target.socketPath ?? null,
    config.protocol === "http1" ? "http1" : "http2",
    [maxConnections, idleTimeout, maxAge, maxPending],
    tls === undefined
      ? null
      : [digest(tls.ca), digest(tls.cert), digest(tls.key), tls.serverName ?? null, tls.verify],
  ])}`;
}

function digest(pem: Buffer | undefined): string | null {
  return pem === undefined ? null : createHash("sha256").update(pem).digest("base64");
}
