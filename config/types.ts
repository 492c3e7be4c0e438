import type { AnyPlugin } from "sluice/plugin";

/*
 * The configuration after parsing, validation and defaults: frozen, with every duration in milliseconds and
 * every size in bytes. Absent options are `undefined`, never a magic number.
 */

/** Where a value stood in YAML; for errors that turn up after parsing. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export interface Config {
  /** Absolute path of the main file. */
  readonly file: string;
  /** Every file that took part (includes, `${file:…}` values, certificates): what a watcher watches. */
  readonly files: readonly string[];
  readonly listeners: readonly ListenerConfig[];
  /** CIDRs (a single address has its full prefix length), or `unix` for the peers on unix sockets. */
  readonly trustedProxies: readonly string[];
  readonly admin: AdminConfig | undefined;
  readonly log: LogConfig;
  /** @default 30000 */
  readonly shutdownTimeout: number;
  readonly plugins: readonly ExternalPlugin[];
  readonly upstreams: readonly UpstreamConfig[];
  readonly routes: readonly RouteConfig[];
}

/** An IPv6 host stands without its brackets; port 0 lets the system choose. Socket paths are absolute. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export type ListenerProtocol = "http1" | "http2" | "grpc";

export interface ListenerConfig {
  readonly address: Address;
  readonly protocols: readonly ListenerProtocol[];
  readonly tls: ListenerTlsConfig | undefined;
  readonly proxyProtocol: boolean;
  /** Paths that the gateway answers itself on this listener. */
  readonly probes: { readonly live: string | undefined; readonly ready: string | undefined };
  readonly limits: Limits;
  readonly place: Place;
}

export interface ListenerTlsConfig {
  /** Absolute paths of PEM files. */
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
  /** @default "1.2" */
  readonly minVersion: "1.2" | "1.3";
}

/** What a client may do to us. Each has its own answer; all are on without any configuration. */
export interface Limits {
  /** Bytes of a header block, request line excluded; 431. @default 65536 */
  readonly headerBytes: number;
  /** Header fields; 431. @default 100 */
  readonly headerCount: number;
  /** Bytes of a request body; 413. @default 4 GiB (bodies stream: this is no memory bound) */
  readonly body: number;
  /** Bytes of a request body that plugins may have read before it is forwarded; 413. @default 8 MiB */
  readonly bufferedBody: number;
  /** Bytes of a request target; 414. @default 8192 */
  readonly url: number;
  /** Concurrent HTTP/2 streams a connection (SETTINGS_MAX_CONCURRENT_STREAMS). @default 128 */
  readonly streams: number;
  /** Streams that a client may reset in a burst, refilled by a twentieth a second; GOAWAY. @default 500 */
  readonly resets: number;
  /** From a connection's or request's first byte to the end of its head; 408. @default 10000 */
  readonly headerTimeout: number;
  /** Between two pieces of a request body; 408. @default 30000 */
  readonly bodyTimeout: number;
  /** An idle keep-alive connection is closed after this. @default 75000 */
  readonly idleTimeout: number;
  /** An upgraded connection (WebSocket) on which nothing passes, either way, is cut after this. @default 3600000 */
  readonly tunnelTimeout: number;
  /** Open connections of one listener; above it a new one is closed at once. @default 50000 */
  readonly connections: number;
  /** Open connections of one peer address; likewise. @default 20000 */
  readonly connectionsPerAddress: number;
}

export interface AdminConfig {
  readonly address: Address;
  readonly token: string | undefined;
  readonly allow: readonly string[];
  readonly place: Place;
}

export interface LogConfig {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly format: "json" | "pretty";
  readonly access: boolean;
  /** Header and query names whose values are masked, beside the built-in ones. Lower-case. */
  readonly redact: readonly string[];
}

export interface ExternalPlugin {
  readonly name: string;
  /** As written. */
  readonly source: string;
  /** Absolute path of the file that the source resolves to. */
  readonly path: string;
}

export type UpstreamProtocol = "http1" | "http2" | "grpc";

export type BalanceAlgorithm = "round-robin" | "least-request" | "ewma" | "consistent-hash" | "random";

export interface UpstreamConfig {
  readonly name: string;
  readonly kind: "http";
  readonly protocol: UpstreamProtocol;
  readonly targets: readonly TargetConfig[];
  /** @default "round-robin" */
  readonly balance: BalanceAlgorithm;
  /** What of a request `consistent-hash` hashes: the first that is there. @default the client's address */
  readonly hash: readonly HashKey[];
  /** Milliseconds over which a target that has come back takes up its share; undefined at once. */
  readonly slowStart: number | undefined;
  /** Below this share of targets that may be asked, 0 to 1, all are asked, fit or not. @default 0: never */
  readonly panicThreshold: number;
  readonly timeouts: UpstreamTimeouts;
  readonly pool: PoolConfig;
  readonly limits: TargetLimits;
  readonly dns: DnsConfig;
  readonly tls: UpstreamTlsConfig | undefined;
  readonly health: HealthConfig | undefined;
  readonly outlier: OutlierConfig | undefined;
  readonly retries: RetriesConfig | undefined;
  readonly hedge: HedgeConfig | undefined;
  readonly circuitBreaker: CircuitBreakerConfig | undefined;
  readonly bulkhead: BulkheadConfig | undefined;
  readonly place: Place;
}

export interface TargetConfig {
  /** As written, without a trailing slash. */
  readonly url: string;
  readonly scheme: "http" | "https" | "unix";
  /** An IPv6 address stands without its brackets. `localhost` for `unix:/path` targets. */
  readonly host: string;
  /** 80 or 443 where the URL has none; 0 for `unix:/path` and SRV targets. */
  readonly port: number;
  /** For `unix:/path` targets, absolute. */
  readonly socketPath: string | undefined;
  /** Path prefix of the URL, "" for none; never ends in a slash. */
  readonly basePath: string;
  /** Above 0. @default 1 */
  readonly weight: number;
  /** Targets of a higher number are asked only while none of a lower one may be. @default 0 */
  readonly priority: number;
  /** Whether `host` names SRV records (RFC 2782): `http+srv://` and `https+srv://`. */
  readonly srv: boolean;
  /** An IP address to connect to instead of `host`: one that the name was resolved to. Never written by an operator. */
  readonly address?: string | undefined;
  /** That of the SRV record (RFC 2782), among the targets of one `priority`. Never written by an operator. */
  readonly recordPriority?: number | undefined;
}

export type HashKey =
  | { readonly from: "address" | "host" | "path" }
  /** `name` is lower-case where it names a header. */
  | { readonly from: "header" | "cookie" | "query"; readonly name: string };

/** Milliseconds; undefined is no limit. */
export interface UpstreamTimeouts {
  /** TCP and TLS together. @default 5000 */
  readonly connect: number | undefined;
  /** From the request's end to the answer's head. @default 60000; none for gRPC, whose calls carry deadlines */
  readonly firstByte: number | undefined;
  /** Between two pieces of the answer. @default 300000 */
  readonly idle: number | undefined;
  /** The whole exchange. @default none */
  readonly request: number | undefined;
}

export interface PoolConfig {
  /** Connections a target. @default 1024 */
  readonly maxConnections: number;
  /** An unused connection is closed after this. @default 60000 */
  readonly idleTimeout: number;
  /** A connection takes no new request after this, or up to a tenth before. @default 3600000 */
  readonly maxAge: number | undefined;
  /** Requests that may wait for a connection. @default 1024 */
  readonly maxPending: number;
}

export interface UpstreamTlsConfig {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly serverName: string | undefined;
  /** @default true */
  readonly verify: boolean;
}

/** How requests are bounded before they reach the pool. */
export interface TargetLimits {
  /** Requests under way on one target. @default none */
  readonly requests: number | undefined;
  /** Requests of the upstream that wait while every target has its full number; above it 503. @default 1024 */
  readonly queue: number;
  /** Milliseconds that one of them waits; then 503. @default 1000 */
  readonly queueTimeout: number;
}

/** How the names of targets are looked up. */
export interface DnsConfig {
  /** `host:port` each; empty is the system's. */
  readonly servers: readonly string[];
  /** `auto` is IPv4 where the name has such addresses, else IPv6. @default "auto" */
  readonly family: "auto" | "ipv4" | "ipv6" | "all";
  /** `all`: each address is a target of its own; `one`: the name is one target. @default "all" */
  readonly addresses: "all" | "one";
  /** Bounds on the records' TTL, milliseconds. @default 1000 and 300000 */
  readonly minTtl: number;
  readonly maxTtl: number;
  /** Milliseconds of one look-up. @default 5000 */
  readonly timeout: number;
}

/** Active checks. */
export interface HealthConfig {
  /** What is asked. */
  readonly kind: "http" | "grpc" | "tcp";
  /** Of an HTTP check. */
  readonly path: string;
  readonly method: "GET" | "HEAD";
  /** `Host` or `:authority` of the check; undefined is the target's own. */
  readonly host: string | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Statuses that are healthy, ranges inclusive. @default 200 to 299 */
  readonly statuses: readonly (readonly [from: number, to: number])[];
  /** Text that a healthy answer's first 64 KiB hold. */
  readonly body: string | undefined;
  /** Of a gRPC check (`grpc.health.v1.HealthCheckRequest.service`). @default "" the server as a whole */
  readonly service: string;
  readonly interval: number;
  readonly timeout: number;
  readonly fall: number;
  readonly rise: number;
}

/** Passive ejection of targets that fail. */
export interface OutlierConfig {
  /** Failures in a row until a target is left out. @default 5 */
  readonly consecutiveFailures: number;
  /** What counts as one, in the words of `RetriesConfig.on`. @default connect, reset, timeout, 5xx */
  readonly on: readonly string[];
  /** Milliseconds of the first ejection; the n-th in a row is n times as long. @default 30000 */
  readonly baseEjection: number;
  /** @default 300000 */
  readonly maxEjection: number;
  /** Share of the targets, 0 to 1, that may be ejected at a time; one may always be, where there are others. @default 0.5 */
  readonly maxEjected: number;
}

export interface RetriesConfig {
  /** All tries, the first included. @default 2 */
  readonly attempts: number;
  /** `connect`, `reset`, `timeout`, `5xx`, a status as text, or a gRPC code's name in kebab-case. */
  readonly on: readonly string[];
  /** Upper-case. Methods that may be sent again once a byte of them was. @default the idempotent ones (RFC 9110 §9.2.2) */
  readonly methods: readonly string[];
  /** Milliseconds of one try until its answer's head. */
  readonly perTryTimeout: number | undefined;
  /** Milliseconds before the second try, doubled for each further one, each with full jitter; and the most. @default 25, 250 */
  readonly backoff: { readonly base: number; readonly max: number };
  /** Milliseconds of a `Retry-After` that are waited; an answer that asks for more is passed on. @default 1000 */
  readonly maxRetryAfter: number;
  /** Bytes of a request body that are kept for another try. @default 65536 */
  readonly maxBody: number;
  readonly budget: RetryBudgetConfig;
}

/** In each window, retries are at most `ratio` of the requests, or `min`, whichever is more. */
export interface RetryBudgetConfig {
  /** @default 0.2 */
  readonly ratio: number;
  /** @default 10 */
  readonly min: number;
  /** Milliseconds. @default 10000 */
  readonly window: number;
}

/** A second request for a slow one. */
export interface HedgeConfig {
  /** Milliseconds after which it is sent; or the percentile, above 0 and below 1, of the upstream's recent latencies. */
  readonly after: { readonly ms: number } | { readonly percentile: number };
  /** Further requests for one. @default 1 */
  readonly max: number;
  /** Share of the requests that may be hedged, 0 to 1. @default 0.1 */
  readonly ratio: number;
  /** Upper-case. Methods of requests that may be hedged. @default the idempotent ones (RFC 9110 §9.2.2) */
  readonly methods: readonly string[];
}

/** One of `failureRatio` and `consecutiveFailures` at least. */
export interface CircuitBreakerConfig {
  /** Opens at this share of failures or more, 0 to 1. */
  readonly failureRatio: number | undefined;
  /** Requests in the window below which the ratio says nothing. @default 20 */
  readonly minRequests: number;
  /** Milliseconds. @default 10000 */
  readonly window: number;
  /** Opens after as many failures in a row. */
  readonly consecutiveFailures: number | undefined;
  /** Milliseconds until it is half open. @default 5000 */
  readonly openFor: number;
  /** Requests that a half-open breaker lets through; all must succeed. @default 1 */
  readonly halfOpenRequests: number;
}

export interface BulkheadConfig {
  /** Requests under way at a time. */
  readonly concurrency: number;
  /** Requests that wait for their turn. @default 0 */
  readonly queue: number;
  /** Milliseconds that one of them waits. @default 1000 */
  readonly queueTimeout: number;
}

/** The fields of a route's `match`; each must hold. */
export interface MatchConfig {
  /** Exact host names, or `*.suffix`; lower-case, without port. Empty matches any. */
  readonly hosts: readonly string[];
  /** Undefined matches any path. */
  readonly path: string | undefined;
  /** Upper-case. Empty matches any. */
  readonly methods: readonly string[];
  /** Lower-case name → exact value, or true for "present". */
  readonly headers: readonly (readonly [name: string, value: string | true])[];
  readonly query: readonly (readonly [name: string, value: string | true])[];
}

/** A step's condition: a route's match and more. */
export interface ConditionConfig extends MatchConfig {
  readonly consumers: readonly string[];
  readonly tenants: readonly string[];
  readonly protocols: readonly ("http" | "grpc" | "grpc-web" | "connect")[];
  readonly not: ConditionConfig | undefined;
}

export interface StepConfig {
  /** Stable name for counters: the step's id, else `pipeline[index]`, else `route[index]`. */
  readonly key: string;
  readonly id: string | undefined;
  readonly plugin: string;
  readonly definition: AnyPlugin;
  /** The plugin's options after its schema (defaults filled in). */
  readonly options: unknown;
  readonly when: ConditionConfig | undefined;
  readonly onError: "fail" | "continue";
  /** Milliseconds of the step's own time, `next()` excluded. @default 10000 */
  readonly timeout: number;
  /** Where the step stands. */
  readonly place: Place;
  /** Where a path inside the plugin's options stands, for a ConfigError of `setup`. */
  placeOf(path: readonly (string | number)[]): Place;
}

export type RouteAction =
  | { readonly kind: "upstream"; readonly upstream: string | undefined }
  | {
      readonly kind: "respond";
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
      readonly body: string;
    }
  | { readonly kind: "redirect"; readonly status: number; readonly location: string };

export interface RouteConfig {
  /** `name`, or `routes[N]`. */
  readonly name: string;
  readonly match: MatchConfig;
  readonly rewrite:
    { readonly stripPrefix: string | undefined; readonly replace: string | undefined } | undefined;
  /** With every `use` spliced in. */
  readonly steps: readonly StepConfig[];
  readonly action: RouteAction;
  readonly place: Place;
}
