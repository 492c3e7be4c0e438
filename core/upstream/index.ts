import type { Clock, Log, Random, TargetView, Upstreams } from "sluice/plugin";
import type { UpstreamConfig } from "../../config/types.ts";
import { type LookUp, systemLookUp } from "./dns/index.ts";
import { UpstreamEvents } from "./events.ts";
import { TargetSource } from "./target-source.ts";
import { loadTls } from "./tls-material.ts";
import { Upstream } from "./upstream.ts";
import { UpstreamState } from "./upstream-state.ts";

export type { LookUp } from "./dns/index.ts";
export { UpstreamEvents } from "./events.ts";
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
  /** Where changes are told. @default logged and told to nobody */
  readonly upstreamEvents?: UpstreamEvents;
  /** How names are looked up. @default as the machine does, or by the servers that the configuration names */
  readonly lookUp?: LookUp;
}

/** Every upstream of one generation of the configuration. It is closed with what its services keep. */
export interface UpstreamSet {
  get(name: string): Upstream | undefined;
  /** What plugins see. */
  readonly views: Upstreams;
  /** It is the one in use from now on: its health checks run, in the place of those of `before`. */
  activate(before?: UpstreamSet): void;
  /** Its upstreams that another has not taken over are not checked any more. */
  deactivate(): void;
  /**
   * An operator takes a target out, or back in; that outlives reloads.
   * @param target its URL, or the host and port of it. @returns the target; undefined where there is no such
   */
  drain(upstream: string, target: string, drained: boolean): TargetView | undefined;
}

let sets = 0;

/** Host and port of a target's URL; "" for a unix socket. */
function hostOf(url: string): string {
  return /^https?:\/\/([^/]*)/.exec(url)?.[1] ?? "";
}

/**
 * Makes the upstreams of a configuration. Nothing is connected yet. A target that was there before keeps its state; its
 * connections, too, where its protocol, TLS (contents of its files included) and pool settings are what they were.
 * @throws ConfigError for TLS files that are of no use
 */
export function createUpstreams(configs: readonly UpstreamConfig[], services: UpstreamServices): UpstreamSet {
  const { clock, random, log, keep, upstreamEvents: events = new UpstreamEvents(log) } = services;
  const deps = { clock, random, lookUp: services.lookUp ?? systemLookUp };
  const upstreams = new Map<string, Upstream>();
  const listening: (() => void)[] = [];
  keep(
    `upstreams:${++sets}`,
    () => upstreams,
    () => {
      for (const stop of listening) stop();
      for (const upstream of upstreams.values()) upstream.close();
    },
  );
  for (const config of configs) {
    const material = config.targets.some((target) => target.scheme === "https") ? loadTls(config) : undefined;
    const state = keep(
      `upstream:${config.name}`,
      () => new UpstreamState(config.name, clock, (event) => events.emit(event)),
    );
    const source = new TargetSource(config, material, state, deps);
    upstreams.set(config.name, new Upstream(config, state, source, deps));
  }
  return {
    get: (name) => upstreams.get(name),
    views: {
      get: (name) => upstreams.get(name)?.view,
      names: [...upstreams.keys()],
      on(listener) {
        const stop = events.on(listener);
        listening.push(stop);
        return stop;
      },
    },
    activate(before) {
      for (const upstream of upstreams.values()) upstream.activate();
      before?.deactivate();
    },
    deactivate() {
      for (const upstream of upstreams.values()) upstream.deactivate();
    },
    drain(name, url, drained) {
      const upstream = upstreams.get(name);
      const target = upstream?.targets.find((one) => one.url === url || hostOf(one.url) === url);
      if (upstream === undefined || target === undefined) return undefined;
      if (drained) upstream.state.drained.add(target.url);
      else upstream.state.drained.delete(target.url);
      target.state.drain(drained, "admin API");
      return target;
    },
  };
}
