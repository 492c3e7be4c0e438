/** Who owns a failure; the access log and the metrics name it. */
export type FailureOwner = "client" | "upstream" | "plugin" | "gateway";

interface ErrorKind {
  /** HTTP status that a client gets. */
  readonly status: number;
  /** gRPC status code (grpc/doc/statuscodes.md); Connect uses the same codes by name. */
  readonly grpc: number;
  readonly owner: FailureOwner;
  /** One line for the documentation. */
  readonly meaning: string;
}

/**
 * Every error that the gateway itself answers with. `code` in a client's error body is a key of this table;
 * the README's table is held to it by a test.
 */
export const ERROR_CODES = {
  bad_request: { status: 400, grpc: 3, owner: "client", meaning: "The request is malformed." },
  unauthenticated: { status: 401, grpc: 16, owner: "client", meaning: "No credential, or a wrong one." },
  forbidden: { status: 403, grpc: 7, owner: "client", meaning: "The caller may not do this." },
  not_found: { status: 404, grpc: 12, owner: "client", meaning: "No route matches host, path and method." },
  method_not_allowed: { status: 405, grpc: 12, owner: "client", meaning: "The method is not served here." },
  request_timeout: {
    status: 408,
    grpc: 4,
    owner: "client",
    meaning: "The request's head or body came too slowly.",
  },
  payload_too_large: {
    status: 413,
    grpc: 8,
    owner: "client",
    meaning: "The body exceeds limits.body, or limits.buffered_body where plugins read it.",
  },
  uri_too_long: { status: 414, grpc: 3, owner: "client", meaning: "The request target exceeds limits.url." },
  unsupported_media_type: {
    status: 415,
    grpc: 3,
    owner: "client",
    meaning: "The content type is not served here.",
  },
  expectation_failed: {
    status: 417,
    grpc: 3,
    owner: "client",
    meaning: "An Expect other than 100-continue.",
  },
  unprocessable: {
    status: 422,
    grpc: 3,
    owner: "client",
    meaning: "The body is well-formed and not acceptable.",
  },
  rate_limited: {
    status: 429,
    grpc: 8,
    owner: "client",
    meaning: "A limit is used up; Retry-After says until when.",
  },
  headers_too_large: {
    status: 431,
    grpc: 8,
    owner: "client",
    meaning: "The header block exceeds its limits.",
  },
  client_closed: {
    status: 499,
    grpc: 1,
    owner: "client",
    meaning: "The client left before the answer (log only).",
  },
  internal: { status: 500, grpc: 13, owner: "gateway", meaning: "A defect of the gateway." },
  plugin_failed: { status: 500, grpc: 13, owner: "plugin", meaning: "A plugin threw or broke its contract." },
  plugin_timeout: { status: 500, grpc: 13, owner: "plugin", meaning: "A plugin used up its step's timeout." },
  not_implemented: {
    status: 501,
    grpc: 12,
    owner: "client",
    meaning: "A method or transfer coding that is not known.",
  },
  upstream_failed: {
    status: 502,
    grpc: 14,
    owner: "upstream",
    meaning: "Connecting, TLS or the upstream's answer failed.",
  },
  unavailable: {
    status: 503,
    grpc: 14,
    owner: "upstream",
    meaning: "No target may be asked now; Retry-After says when.",
  },
  draining: { status: 503, grpc: 14, owner: "gateway", meaning: "The gateway is shutting down." },
  upstream_timeout: { status: 504, grpc: 4, owner: "upstream", meaning: "The upstream exceeded a timeout." },
  http_version_not_supported: {
    status: 505,
    grpc: 12,
    owner: "client",
    meaning: "An HTTP version that is not served.",
  },
  loop_detected: {
    status: 508,
    grpc: 13,
    owner: "client",
    meaning: "The request has passed this gateway before.",
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface SluiceErrorOptions {
  /** The failure class: finer than the code and stable, such as `connect`, `timeout.first_byte`, `no_route`. */
  reason?: string;
  /** What was thrown underneath; for the log, never for the client. */
  cause?: unknown;
  /** Fields for the answer, such as `["retry-after", "1"]`. */
  headers?: readonly (readonly [name: string, value: string])[];
}

/**
 * The one error class of the gateway. Its `message` reaches the client, so it holds no internals; the `cause`
 * is for the log.
 */
export class SluiceError extends Error {
  override readonly name: string = "SluiceError";
  readonly code: ErrorCode;
  readonly reason: string;
  readonly headers: readonly (readonly [name: string, value: string])[];

  constructor(code: ErrorCode, message: string, options: SluiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = options.reason ?? code;
    this.headers = options.headers ?? [];
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  get grpcStatus(): number {
    return ERROR_CODES[this.code].grpc;
  }

  get owner(): FailureOwner {
    return ERROR_CODES[this.code].owner;
  }

  /** Any thrown value as a SluiceError; what is none becomes `fallback` with the value as its cause. */
  static from(thrown: unknown, fallback: ErrorCode = "internal", reason?: string): SluiceError {
    if (thrown instanceof SluiceError) return thrown;
    const options: SluiceErrorOptions = { cause: thrown };
    if (reason !== undefined) options.reason = reason;
    return new SluiceError(fallback, ERROR_CODES[fallback].meaning, options);
  }
}

/**
 * Thrown by a plugin's `setup` when its configuration is well-formed and still cannot work (a file that is
 * missing, two options that exclude each other). `path` is relative to the plugin's own options.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly path: readonly (string | number)[];

  constructor(message: string, path: readonly (string | number)[] = []) {
    super(message);
    this.path = path;
  }
}
