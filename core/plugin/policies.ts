/** Takes a listener; what it answers takes the listener away. */
export type PolicyEvent<T> = (listener: (data: T) => void) => { dispose(): void };

/** What made a call a failure: what it threw, or what it answered. */
export type FailedCall = { readonly error: unknown } | { readonly value: unknown };

/**
 * Something that calls run under. It is an `IPolicy` of cockatiel 4 too, so that its `wrap` puts it together with what
 * that library brings: `wrap(retry(handleAll, { maxAttempts: 2 }), breaker)`.
 */
export interface Policy {
  /** Not there; for types only. */
  readonly _altReturn: never;
  /** `duration` is in milliseconds. */
  readonly onSuccess: PolicyEvent<{ readonly duration: number }>;
  /** `handled`: whether the policy took it for a failure of its own. */
  readonly onFailure: PolicyEvent<{
    readonly duration: number;
    readonly handled: boolean;
    readonly reason: FailedCall;
  }>;
  /**
   * Calls `fn`, unless the policy refuses it.
   * @param signal is given to `fn`. Aborted before `fn` was called, it ends the call with its reason.
   * @throws what `fn` throws; SluiceError where the policy refuses
   */
  execute<T>(
    fn: (context: { readonly signal: AbortSignal }) => PromiseLike<T> | T,
    signal?: AbortSignal,
  ): Promise<T>;
}

export type CircuitState = "closed" | "open" | "half-open";

/** That a request was let through by a circuit breaker; to be given back to it with what became of the request. */
export type CircuitPermit = number;

/** At least one of `failureRatio` and `consecutiveFailures`; either opens the circuit. */
export interface CircuitBreakerOptions {
  /** Opens at this share of failures or more, above 0 and at most 1, among the requests of the window. */
  readonly failureRatio?: number;
  /** Requests in the window below which the ratio says nothing. @default 20 */
  readonly minRequests?: number;
  /** Milliseconds. @default 10000 */
  readonly window?: number;
  /** Opens after as many failures in a row. */
  readonly consecutiveFailures?: number;
  /** Milliseconds until an open circuit is half open. @default 5000 */
  readonly openFor?: number;
  /** Requests that a half-open circuit lets through; all must succeed. @default 1 */
  readonly halfOpenRequests?: number;
  /**
   * What of `execute`'s calls is a failure; an error that is none says nothing either way.
   * @default every error, unless it is a SluiceError of the client's
   */
  readonly isFailure?: (call: FailedCall) => boolean;
}

/**
 * Stops asking what fails. Closed, it lets everything through. Once enough has failed it is open and refuses everything for
 * `openFor`. Then it is half open: it lets `halfOpenRequests` through and refuses all others until those are decided, or have hung for `openFor` as well. If
 * all of them succeed, it is closed; as soon as one fails, it is open again. Only requests that began in the state that it
 * is in have a say.
 *
 * `execute` does all of it for a function. Where a request and its verdict are further apart, `enter` asks, and exactly one
 * of `succeeded`, `failed` and `abandoned` says what became of it: half open, its place is taken until then.
 */
export interface CircuitBreakerPolicy extends Policy {
  readonly state: CircuitState;
  /** Milliseconds until it is half open; 0 unless it is open. */
  retryAfter(): number;
  /** @throws SluiceError `unavailable`, reason `circuit_open`, with `Retry-After` */
  enter(): CircuitPermit;
  succeeded(permit: CircuitPermit): void;
  failed(permit: CircuitPermit): void;
  /** The request was given up, which says nothing about who was asked. */
  abandoned(permit: CircuitPermit): void;
  /**
   * `reason` is for the log: `5 failures in a row`. Half open is told of when the first request is let through.
   * @returns what takes the listener away
   */
  onChange(listener: (state: CircuitState, reason: string) => void): () => void;
}

export interface BulkheadOptions {
  /** Calls under way at a time. */
  readonly concurrency: number;
  /** Calls that wait for their turn; further ones are refused. @default 0 */
  readonly queue?: number;
  /** Milliseconds that one of them waits. @default 1000 */
  readonly queueTimeout?: number;
}

/**
 * Bounds how many calls are under way; those that come first are first served.
 *
 * `execute` does all of it for a function. Otherwise each `enter` that lets a call in is to be matched by one `leave`.
 */
export interface BulkheadPolicy extends Policy {
  /** Calls under way. */
  readonly active: number;
  /** Calls that wait for their turn. */
  readonly waiting: number;
  /** A call was refused, at once or after it had waited for too long. */
  readonly onReject: PolicyEvent<void>;
  /**
   * Undefined where the call may begin at once. Otherwise a promise that resolves when its turn has come, and rejects with
   * a SluiceError (`unavailable`, reason `bulkhead`, with `Retry-After`) where it is refused.
   * @param onCancel is given a function that ends the wait with a reason, which the promise rejects with. It does nothing
   * once the wait is over.
   */
  enter(onCancel?: (cancel: (reason: unknown) => void) => void): Promise<void> | undefined;
  leave(): void;
}

/** Makes policies that go by the gateway's clock. What they know is lost with them: `services.keep` keeps them over a reload. */
export interface Policies {
  /** @throws RangeError where an option is out of its range, or neither way to open is given */
  circuitBreaker(options: CircuitBreakerOptions): CircuitBreakerPolicy;
  /** @throws RangeError where an option is out of its range */
  bulkhead(options: BulkheadOptions): BulkheadPolicy;
}
