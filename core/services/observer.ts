import { type Clock, ERROR_CODES } from "sluice/plugin";
import type { Rejection, Sent } from "../listener/inbound.ts";
import type { GatewayExchange, Observer, ReadyStep } from "../pipeline/types.ts";
import { accessLine, blame, grpcStatus, rejectedLine } from "./access-log.ts";
import type { RootLog } from "./log.ts";
import {
  type Cell,
  type HistogramCell,
  MAX_CONFIGURED_CELLS,
  type MetricsRegistry,
  OVERHEAD_BUCKETS,
} from "./metrics.ts";
import { createUpstreamMetrics } from "./upstream-metrics.ts";

interface ObserverOptions {
  readonly metrics: MetricsRegistry;
  readonly log: RootLog;
  readonly clock: Clock;
  /** Read at each request, so that a reload takes effect. */
  readonly accessLog: () => boolean;
}

/** The cells of one route and protocol, found once. */
interface RouteCells {
  readonly byStatus: Map<number, Cell>;
  readonly byCode: Map<string, Cell>;
  readonly duration: HistogramCell;
  readonly overhead: HistogramCell;
  readonly bytesIn: Cell;
  readonly bytesOut: Cell;
}

/** Turns what happens to requests into metrics and access log lines. */
export function createObserver({ metrics, log, clock, accessLog }: ObserverOptions): Observer {
  const requests = metrics.counterCells(
    "requests_total",
    "Requests by outcome.",
    ["route", "protocol", "status"],
    MAX_CONFIGURED_CELLS,
  );
  const calls = metrics.counterCells(
    "grpc_calls_total",
    "gRPC and gRPC-Web calls by status code; `none` without one.",
    ["route", "grpc_status"],
  );
  const durations = metrics.histogramCells(
    "request_duration_seconds",
    "From a request's head to the last byte of its answer.",
    ["route", "protocol"],
  );
  const overheads = metrics.histogramCells(
    "overhead_seconds",
    "Time to the answer's first byte that was not spent waiting for an upstream or the client.",
    ["route"],
    OVERHEAD_BUCKETS,
  );
  const received = metrics.counterCells("request_bytes_total", "Request body bytes.", ["route"]);
  const sentBytes = metrics.counterCells("response_bytes_total", "Answer body bytes.", ["route"]);
  const failures = metrics.counterCells(
    "request_failures_total",
    "Requests that failed, by owner and class.",
    ["route", "failed", "reason"],
  );
  const rejections = metrics.counterCells("rejected_requests_total", "Requests refused before routing.", [
    "code",
    "reason",
  ]);
  const upstreams = createUpstreamMetrics(metrics);
  const pluginDurations = metrics.histogramCells(
    "plugin_duration_seconds",
    "A step's own time, what follows it excluded.",
    ["plugin", "route"],
    OVERHEAD_BUCKETS,
  );
  const pluginFailures = metrics.counterCells("plugin_failures_total", "Steps that failed.", [
    "plugin",
    "route",
    "kind",
  ]);
  const active = metrics.gaugeCells("active_requests", "Requests under way.", []).cell();

  // By protocol and route: one key of both would be a new string for each request.
  const known = new Map<string, Map<string, RouteCells>>();
  const cellsOf = (route: string, protocol: string): RouteCells => {
    let routes = known.get(protocol);
    if (routes === undefined) known.set(protocol, (routes = new Map()));
    let cells = routes.get(route);
    if (cells === undefined) {
      cells = {
        byStatus: new Map(),
        byCode: new Map(),
        duration: durations.cell(route, protocol),
        overhead: overheads.cell(route),
        bytesIn: received.cell(route),
        bytesOut: sentBytes.cell(route),
      };
      // Routes come from configurations, so this grows by reloads that rename routes and by nothing else.
      if (routes.size < 10_000) routes.set(route, cells);
    }
    return cells;
  };
  /** By route: a step of a named pipeline is one for all routes that use it. */
  const steps = new WeakMap<ReadyStep, Map<string, HistogramCell>>();

  return {
    started() {
      active.value++;
    },
    tried: upstreams.tried,
    retried: upstreams.retried,
    finished(exchange: GatewayExchange, sent: Sent) {
      active.value--;
      const end = clock.monotonic();
      const { record } = exchange;
      const status = exchange.response?.status ?? 0;
      const cells = cellsOf(exchange.route, exchange.protocol);
      let counted = cells.byStatus.get(status);
      if (counted === undefined) {
        counted = requests.cell(exchange.route, exchange.protocol, String(status));
        cells.byStatus.set(status, counted);
      }
      counted.value++;
      if (exchange.protocol !== "http") {
        const code = codeOf(exchange);
        let call = cells.byCode.get(code);
        if (call === undefined) {
          call = calls.cell(exchange.route, code);
          cells.byCode.set(code, call);
        }
        call.value++;
      }
      cells.duration.observe((end - exchange.startedAt) / 1000);
      if (sent.firstByteAt > 0) {
        const own = sent.firstByteAt - exchange.startedAt - record.upstreamWait - record.clientWait;
        cells.overhead.observe(Math.max(0, own) / 1000);
      }
      cells.bytesIn.value += record.bytesIn;
      cells.bytesOut.value += sent.bytes;

      const blamed = blame(exchange, sent);
      if (blamed !== undefined) failures.cell(exchange.route, blamed.failed, blamed.reason).value++;
      // Behind the head of an answer: what came before it was counted as a try that failed.
      const begun = record.upstream !== undefined && record.upstreamStatus !== 0;
      if (begun && blamed?.failed === "upstream" && blamed.reason !== "status")
        upstreams.brokeOff(record.upstream!, blamed.reason);
      if (accessLog()) log.raw(accessLine(exchange, sent, clock, log.redacts));
      const { failure } = record;
      if (failure?.cause === undefined) return;
      const { upstream, target } = record;
      const facts = { request_id: exchange.requestId, route: exchange.route, upstream, target };
      // An upstream that fails is no defect of ours: no stack leads to it.
      if (failure.owner === "upstream")
        log.warn({ ...facts, reason: failure.reason, cause: causeOf(failure.cause) }, failure.message);
      else
        log[failure.status >= 500 ? "error" : "debug"](
          { ...facts, reason: failure.reason, err: failure.cause },
          failure.message,
        );
    },
    rejected(rejection: Rejection, requestId: string) {
      rejections.cell(rejection.code, rejection.reason).value++;
      if (accessLog()) log.raw(rejectedLine(rejection, ERROR_CODES[rejection.code].status, requestId, clock));
    },
    stepFinished(step, route, seconds, outcome) {
      let byRoute = steps.get(step);
      if (byRoute === undefined) {
        byRoute = new Map();
        steps.set(step, byRoute);
      }
      let cell = byRoute.get(route);
      if (cell === undefined) {
        cell = pluginDurations.cell(step.config.plugin, route);
        byRoute.set(route, cell);
      }
      cell.observe(seconds);
      if (outcome !== "ok") pluginFailures.cell(step.config.plugin, route, outcome).value++;
    },
    strayFailure(plugin, error, exchange) {
      pluginFailures.cell(plugin ?? "", exchange?.route ?? "", "stray").value++;
      log.error(
        { plugin, request_id: exchange?.requestId, route: exchange?.route, err: error },
        plugin === undefined
          ? "a failure that nobody waited for"
          : "a plugin's promise was rejected and nobody waited for it",
      );
    },
  };
}

/** What the platform or a codec said, in one line. */
function causeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause ? String(cause.code) : "";
  return code === "" || cause.message.includes(code) ? cause.message : `${code}: ${cause.message}`;
}

/** A status code of gRPC: 0 to 16; what else an upstream may have written is `none`. */
function codeOf(exchange: GatewayExchange): string {
  const code = grpcStatus(exchange);
  return code === undefined || code > 16 ? "none" : String(code);
}
