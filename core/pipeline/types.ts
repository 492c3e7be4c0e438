import type { Exchange, ExchangeResponse, PluginInstance, SluiceError } from "sluice/plugin";
import type { RouteConfig, StepConfig } from "../../config/types.ts";
import type { Inbound, Rejection, Sent } from "../listener/inbound.ts";

/** What the gateway notes about a request while it runs; the access log and the metrics read it at the end. */
export interface RequestRecord {
  /** The upstream and target that were asked last. */
  upstream: string | undefined;
  target: string | undefined;
  /** Tries made against upstreams. */
  attempts: number;
  /** What the upstream that was asked last answered; 0 while, or where, it did not. */
  upstreamStatus: number;
  /**
   * Milliseconds spent waiting for upstreams to begin their answers (connecting included), all tries, and for answers that
   * a step read.
   */
  upstreamWait: number;
  /** Milliseconds that steps waited for the client's body. */
  clientWait: number;
  /** Request body bytes read. */
  bytesIn: number;
  /** The failure that decided the outcome, if one did. */
  failure: SluiceError | undefined;
  /** The step whose plugin failed, where one did. */
  failedStep: string | undefined;
  /** What plugins add to the access log line, in the order in which they did; values are to be masked by name. */
  fields: Map<string, string | number | boolean> | undefined;
}

/** A plugin's code that runs for a request, and whose time is measured. */
export interface AtWork {
  /** Whose code it is. */
  readonly step: ReadyStep | undefined;
  /** It waits for a client or an upstream, whose time that is. Such waits may overlap. */
  pause(): void;
  /** One such wait is over. */
  resume(): void;
}

/** The exchange with its inside: the core sees this, plugins see `Exchange`. */
export interface GatewayExchange extends Exchange {
  readonly inbound: Inbound;
  /** Keys of steps whose failures the request goes on without (`on_error: continue`). */
  tolerated: ReadonlySet<string> | undefined;
  readonly record: RequestRecord;
  /** The content type of the caller's RPC protocol, as the request named it; "" for `http`. */
  readonly callType: string;
  /** The request is on its way to an upstream, or nobody will send it any more: its body is not kept as it is read. */
  departed: boolean;
  /** The plugin's code that is running, while the pipeline is. */
  atWork: AtWork | undefined;
  /** The step that chose the candidates; undefined for the route's own. */
  readonly chosenBy: ReadyStep | undefined;
  /** Why the request was cancelled. */
  readonly cancelReason: SluiceError | undefined;
  /** As `onCancel`, without a function to make: tells `work` when the request is cancelled, at once if it is. */
  attach(work: { cancelled(reason: unknown): void }): void;
  /** `work` is over. */
  detach(work: { cancelled(reason: unknown): void }): void;
  /** The running plugin waits for bytes of somebody else. Answers what to call when that is over. */
  waitsFor(whose: "clientWait" | "upstreamWait"): () => void;
  /** Ends the request: `cancelled` turns true, the signal fires, listeners run. Idempotent. */
  cancel(reason: SluiceError): void;
}

/** A step that `setup` has made ready. */
export interface ReadyStep {
  readonly config: StepConfig;
  readonly instance: PluginInstance;
}

/** A route ready to run. */
export interface ReadyRoute {
  readonly config: RouteConfig;
  readonly steps: readonly ReadyStep[];
  /**
   * Runs the steps and the route's action; `exchange.response` is set when it resolves, or answers undefined. A failure
   * below a step is an answer by then, with the error in `record.failure`; where no step took part it throws, or
   * rejects with, the SluiceError.
   */
  run(exchange: GatewayExchange): Promise<void> | undefined;
  /** The first step's answer that speaks the route's dialect, asked for each error. */
  formatError(exchange: Exchange, error: SluiceError): ExchangeResponse | undefined;
}

/** Where the gateway reports what happened. Calls must be cheap; they run on the request's path. */
export interface Observer {
  started(exchange: GatewayExchange): void;
  /**
   * A try against a target has its answer's head, or has failed without one.
   * @param target "" where the request was refused before one was asked.
   * @param status 0 where there was no answer.
   * @param reason the failure class, where the upstream failed; undefined where the try was given up for another reason.
   * @param seconds from choosing the target on.
   */
  tried(upstream: string, target: string, status: number, reason: string | undefined, seconds: number): void;
  /**
   * A further try was made, or was not for want of budget.
   * @param kind `retry` behind one that failed, `hedge` beside one that is slow.
   */
  retried(upstream: string, kind: "retry" | "hedge", outcome: "sent" | "no_budget"): void;
  /** The last byte has left, or the request ended otherwise. Once a request. */
  finished(exchange: GatewayExchange, sent: Sent): void;
  /** A request that a codec or a limit refused before it became an exchange. */
  rejected(rejection: Rejection, requestId: string): void;
  /** A step is over; `seconds` is its own time, `next()` excluded. */
  stepFinished(step: ReadyStep, route: string, seconds: number, outcome: "ok" | "error" | "timeout"): void;
  /** A plugin's promise rejected, or its callback threw, outside of any step that waited for it. */
  strayFailure(plugin: string | undefined, error: unknown, exchange: GatewayExchange | undefined): void;
}
