/* What plugins, the admin API and the metrics see of upstreams. */

/** Why a target gets no requests, or that it may: the first of these that holds. */
export type TargetStatus = "draining" | "unhealthy" | "ejected" | "unreachable" | "slow_start" | "available";

/** One target as it is now. Reading costs nothing; nothing can be changed here. */
export interface TargetView {
  /** Its URL; with the address in the place of the name where the name was looked up. Unique in its upstream. */
  readonly url: string;
  /** Above 0. */
  readonly weight: number;
  /** Targets of a higher number are asked only while none of a lower one may be. */
  readonly priority: number;
  /** What its health checks say; true where there are none. */
  readonly healthy: boolean;
  readonly status: TargetStatus;
  /** What the status comes from, such as `status 503` of a health check; "" where it is `available`. */
  readonly reason: string;
  /** Whether a request may go to it now, apart from its limit. */
  readonly available: boolean;
  /** Requests under way. */
  readonly inFlight: number;
  /** Peak EWMA of the time to an answer's head, milliseconds; 0 where nothing is known. */
  readonly latencyMs: number;
  /** Tries that got an answer, since the target is known. */
  readonly answers: number;
  /** Tries that failed: without an answer, with a 5xx, or with a gRPC code that says the same. */
  readonly failures: number;
  /** Times that it was left out for its failures. */
  readonly ejections: number;
  readonly connections: { readonly open: number; readonly idle: number };
}

/** A name of the configuration that is looked up. */
export interface NameView {
  readonly name: string;
  /** How many it has; undefined while the first look-up has not ended. */
  readonly addresses: number | undefined;
  /** Why the last look-up failed, such as `ENOTFOUND` or `timeout`; undefined where it did not. */
  readonly failure: string | undefined;
}

export interface UpstreamView {
  readonly name: string;
  readonly protocol: "http1" | "http2" | "grpc";
  readonly balance: string;
  readonly targets: readonly TargetView[];
  /** Names among the targets of the configuration; each of their addresses is one of `targets`. */
  readonly names: readonly NameView[];
  /** Too few targets are fit, so that all are asked. */
  readonly panic: boolean;
  /** Requests that wait because every target has its full number. */
  readonly queued: number;
  /** Undefined where there is none. */
  readonly circuit: "closed" | "open" | "half-open" | undefined;
  /** Undefined where there is none. */
  readonly bulkhead: { readonly active: number; readonly waiting: number } | undefined;
  /** In the retry budget's window. */
  readonly retries: { readonly requests: number; readonly retries: number } | undefined;
}

/** Something about an upstream has changed. */
export interface UpstreamEvent {
  readonly upstream: string;
  /** `TargetView.url`, or the name that was looked up; undefined for the upstream as a whole. */
  readonly target: string | undefined;
  readonly kind:
    | "healthy"
    | "unhealthy"
    | "ejected"
    | "restored"
    | "unreachable"
    | "reachable"
    | "draining"
    | "undrained"
    | "added"
    | "removed"
    | "dns_failed"
    | "dns_recovered"
    | "panic"
    | "panic_over"
    | "none_available"
    | "available"
    | "circuit_open"
    | "circuit_half_open"
    | "circuit_closed";
  readonly reason: string;
}

export interface Upstreams {
  get(name: string): UpstreamView | undefined;
  readonly names: readonly string[];
  /** Runs `listener` for each change, once; answers a function that takes it back. It ends with the step. */
  on(listener: (event: UpstreamEvent) => void): () => void;
}
