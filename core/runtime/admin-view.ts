import type { Clock } from "sluice/plugin";
import { maskedConfig, maskedRoutes } from "../../config/index.ts";
import type { AdminSource, ReloadResult } from "../admin/source.ts";
import { compileTrust, type Trust } from "../net/trusted-proxies.ts";
import type { LogLevel, RootLog } from "../services/log.ts";
import type { MetricsRegistry } from "../services/metrics.ts";
import type { UpstreamEvents } from "../upstream/index.ts";
import { COMMIT, VERSION } from "../version.ts";
import type { RunningGeneration } from "./generation.ts";
import { addUpstreamGauges, targetJson, upstreamJson } from "./upstream-report.ts";

export interface AdminViewParts {
  readonly metrics: MetricsRegistry;
  readonly log: RootLog;
  readonly clock: Clock;
  readonly upstreamEvents: UpstreamEvents;
  generation(): RunningGeneration;
  state(): "starting" | "ready" | "draining";
  readinessAsked(checker: string): void;
  listeners(): readonly string[];
  /** Requests under way. */
  active(): number;
  connections(): number;
  reload(): Promise<ReloadResult>;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** The running gateway as the admin API shows it. */
export class AdminView implements AdminSource {
  readonly #parts: AdminViewParts;
  readonly #startedAt: number;
  readonly #reloads: { inc(labels: Record<string, string>): void };
  #lastReload: { at: string; result: ReloadResult } | undefined;
  #allow: { list: readonly string[]; test: Trust } | undefined;

  constructor(parts: AdminViewParts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
    const { metrics } = parts;
    this.#reloads = metrics.counter("config_reloads_total", "Reloads by result.", ["result"]);
    metrics.sampled("gauge", "sluice_config_generation", "Number of the configuration in use.", () => [
      { labels: {}, value: parts.generation().number },
    ]);
    metrics.sampled("gauge", "sluice_connections", "Open client connections.", () => [
      { labels: {}, value: parts.connections() },
    ]);
    metrics.sampled("gauge", "sluice_build_info", "1, with the version in the labels.", () => [
      { labels: { version: VERSION, commit: COMMIT, runtime: `bun ${Bun.version}` }, value: 1 },
    ]);
    addUpstreamGauges(metrics, () => parts.generation().upstreams.views);
    const events = metrics.counterCells("upstream_events_total", "Changes of upstreams and their targets.", [
      "upstream",
      "event",
    ]);
    parts.upstreamEvents.on(({ upstream, kind }) => void events.cell(upstream, kind).value++);
  }

  get token(): string | undefined {
    return this.#parts.generation().loaded.config.admin?.token;
  }

  allows(address: string): boolean {
    const list = this.#parts.generation().loaded.config.admin?.allow ?? [];
    if (list.length === 0) return true;
    if (this.#allow?.list !== list) this.#allow = { list, test: compileTrust(list) };
    return this.#allow.test(address);
  }

  /** The process answers, so it lives. */
  readonly live = true;

  ready(checker: string): boolean {
    this.#parts.readinessAsked(checker);
    return this.#parts.state() === "ready";
  }

  health(): object {
    const { clock, generation, state, listeners, active, connections } = this.#parts;
    const { number, loaded } = generation();
    return {
      status: state(),
      version: VERSION,
      commit: COMMIT,
      runtime: `bun ${Bun.version}`,
      uptime_seconds: Math.round((clock.now() - this.#startedAt) / 1000),
      active_requests: active(),
      connections: connections(),
      listeners: listeners(),
      config: { file: loaded.config.file, generation: number, routes: loaded.config.routes.length },
      reload: this.#lastReload === undefined ? null : { at: this.#lastReload.at, ...this.#lastReload.result },
      upstreams: this.upstreams(),
    };
  }

  metricsText(): Promise<string> {
    return this.#parts.metrics.text();
  }

  get metricsContentType(): string {
    return this.#parts.metrics.contentType;
  }

  metricsSummary(): object {
    const { metrics, active, connections } = this.#parts;
    return {
      requests_total: metrics.total("requests_total"),
      active_requests: active(),
      connections: connections(),
      request_failures_total: metrics.total("request_failures_total"),
      rejected_requests_total: metrics.total("rejected_requests_total"),
      upstream_requests_total: metrics.total("upstream_requests_total"),
      upstream_failures_total: metrics.total("upstream_failures_total"),
      plugin_failures_total: metrics.total("plugin_failures_total"),
      request_bytes_total: metrics.total("request_bytes_total"),
      response_bytes_total: metrics.total("response_bytes_total"),
    };
  }

  config(): object {
    return maskedConfig(this.#parts.generation().loaded.config);
  }

  routes(): readonly object[] {
    return maskedRoutes(this.#parts.generation().loaded.config);
  }

  upstreams(): readonly object[] {
    const { views } = this.#parts.generation().upstreams;
    return views.names.flatMap((name) => {
      const view = views.get(name);
      return view === undefined ? [] : upstreamJson(view);
    });
  }

  drain(upstream: string, target: string, drained: boolean): object | undefined {
    const found = this.#parts.generation().upstreams.drain(upstream, target, drained);
    return found && targetJson(found);
  }

  reload(): Promise<ReloadResult> {
    return this.#parts.reload();
  }

  /** A reload is over, whoever asked for it. */
  reloaded(result: ReloadResult): void {
    this.#reloads.inc({ result: result.ok ? "ok" : "rejected" });
    this.#lastReload = { at: new Date(this.#parts.clock.now()).toISOString(), result };
  }

  get logLevel(): string {
    return this.#parts.log.level;
  }

  setLogLevel(level: string): boolean {
    const known = LEVELS.find((candidate) => candidate === level);
    if (known === undefined) return false;
    this.#parts.log.setLevel(known);
    return true;
  }
}
