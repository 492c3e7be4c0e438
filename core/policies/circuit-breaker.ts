import { CircuitState as CockatielState, ConsecutiveBreaker, type IBreaker } from "cockatiel";
import {
  type CircuitBreakerPolicy,
  type CircuitPermit,
  type CircuitState,
  type Clock,
  type FailedCall,
  SluiceError,
} from "sluice/plugin";
import type { CircuitBreakerConfig } from "../../config/types.ts";
import { Calls, noSignal } from "./calls.ts";
import { RatioBreaker } from "./ratio-breaker.ts";
import { retryAfter } from "./retry-after.ts";

export type CircuitBreaker = CircuitBreakerPolicy;
export type Permit = CircuitPermit;

/** When to open, and what to say then. */
interface Strategy {
  readonly breaker: IBreaker;
  reason(): string;
}

/**
 * A circuit breaker on the injected clock; how it works says {@link CircuitBreakerPolicy}. Whether it opens is decided by
 * strategies as cockatiel has them, but its states are our own: cockatiel's policy reads the machine's clock, and lets
 * requests wait beside the probes of a half-open circuit.
 * @param isFailure what of `execute`'s calls is a failure. @default every error, unless it is a SluiceError of the client's
 */
export function createCircuitBreaker(
  config: CircuitBreakerConfig,
  clock: Pick<Clock, "monotonic">,
  isFailure: (call: FailedCall) => boolean = isTheirs,
): CircuitBreaker {
  return new Breaker(config, clock, isFailure);
}

class Breaker implements CircuitBreakerPolicy {
  declare readonly _altReturn: never;
  readonly onSuccess: CircuitBreakerPolicy["onSuccess"];
  readonly onFailure: CircuitBreakerPolicy["onFailure"];
  readonly #config: CircuitBreakerConfig;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #isFailure: (call: FailedCall) => boolean;
  readonly #strategies: readonly Strategy[];
  readonly #calls: Calls;
  readonly #listeners = new Set<(state: CircuitState, reason: string) => void>();
  #state: CircuitState = "closed";
  /** Counts the states it was in. It is the permit of requests that begin in it, so that those from before are known. */
  #phase: Permit = 0;
  /** When it opened. */
  #openedAt = 0;
  /** Half open: requests that were let through and not given up, and those of them that succeeded. */
  #probes = 0;
  #good = 0;
  /** When the last of them was let through. */
  #probedAt = 0;

  constructor(
    config: CircuitBreakerConfig,
    clock: Pick<Clock, "monotonic">,
    isFailure: (call: FailedCall) => boolean,
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#isFailure = isFailure;
    this.#strategies = strategiesOf(config, clock);
    this.#calls = new Calls(clock);
    this.onSuccess = this.#calls.onSuccess;
    this.onFailure = this.#calls.onFailure;
  }

  get state(): CircuitState {
    return this.#state === "open" && this.retryAfter() === 0 ? "half-open" : this.#state;
  }

  retryAfter(): number {
    if (this.#state !== "open") return 0;
    return Math.max(0, this.#openedAt + this.#config.openFor - this.#clock.monotonic());
  }

  enter(): Permit {
    if (this.#state === "closed") return this.#phase;
    if (this.state === "open") throw this.#refusal();
    if (this.#state === "open") {
      this.#probes = this.#good = 0;
      this.#move("half-open", `it was open for ${this.#config.openFor} ms`);
      // A listener may have asked for itself.
      return this.enter();
    }
    const now = this.#clock.monotonic();
    if (this.#probes >= this.#config.halfOpenRequests) {
      if (now - this.#probedAt < this.#config.openFor) throw this.#refusal();
      // They hang. What they come to, if they ever do, says nothing of the present.
      this.#probes = this.#good = 0;
      this.#phase++;
    }
    this.#probes++;
    this.#probedAt = now;
    return this.#phase;
  }

  succeeded(permit: Permit): void {
    if (permit !== this.#phase) return;
    if (this.#state === "closed") {
      for (const { breaker } of this.#strategies) breaker.success(CockatielState.Closed);
    } else if (++this.#good >= this.#config.halfOpenRequests) {
      for (const { breaker } of this.#strategies) breaker.success(CockatielState.HalfOpen);
      this.#move("closed", this.#good === 1 ? "a probe succeeded" : `${this.#good} probes succeeded`);
    }
  }

  failed(permit: Permit): void {
    if (permit !== this.#phase) return;
    if (this.#state === "half-open") {
      this.#open("a probe failed");
      return;
    }
    let reason: string | undefined;
    // Each is told, whether another has opened the circuit already or not.
    for (const strategy of this.#strategies) {
      if (strategy.breaker.failure(CockatielState.Closed)) reason ??= strategy.reason();
    }
    if (reason !== undefined) this.#open(reason);
  }

  abandoned(permit: Permit): void {
    if (permit === this.#phase && this.#state === "half-open") this.#probes--;
  }

  onChange(listener: (state: CircuitState, reason: string) => void): () => void {
    // The same function may listen twice.
    const entry: typeof listener = (state, reason) => listener(state, reason);
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  async execute<T>(
    fn: (context: { readonly signal: AbortSignal }) => PromiseLike<T> | T,
    signal: AbortSignal = noSignal(),
  ): Promise<T> {
    signal.throwIfAborted();
    const permit = this.enter();
    const since = this.#calls.begin();
    let value: T;
    try {
      value = await fn({ signal });
    } catch (error) {
      const reason = { error };
      const handled = !signal.aborted && this.#decide(permit, reason);
      if (!handled) this.abandoned(permit);
      this.#calls.failed(since, handled, reason);
      throw error;
    }
    const reason = { value };
    if (this.#decide(permit, reason)) this.#calls.failed(since, true, reason);
    else {
      this.succeeded(permit);
      this.#calls.succeeded(since);
    }
    return value;
  }

  /** Whether it is a failure; counts it then. */
  #decide(permit: Permit, call: FailedCall): boolean {
    let failure: boolean;
    try {
      failure = this.#isFailure(call);
    } catch (error) {
      this.abandoned(permit);
      throw error;
    }
    if (failure) this.failed(permit);
    return failure;
  }

  #open(reason: string): void {
    this.#openedAt = this.#clock.monotonic();
    this.#move("open", reason);
  }

  #move(state: CircuitState, reason: string): void {
    this.#state = state;
    this.#phase++;
    for (const listener of this.#listeners) listener(state, reason);
  }

  #refusal(): SluiceError {
    return new SluiceError("unavailable", "Too many requests have failed; none are sent for the moment.", {
      reason: "circuit_open",
      headers: retryAfter(this.retryAfter()),
    });
  }
}

function strategiesOf(config: CircuitBreakerConfig, clock: Pick<Clock, "monotonic">): readonly Strategy[] {
  const { consecutiveFailures, failureRatio, minRequests, window } = config;
  const strategies: Strategy[] = [];
  if (consecutiveFailures !== undefined) {
    const breaker = new ConsecutiveBreaker(consecutiveFailures);
    strategies.push({ breaker, reason: () => `${breaker.state} failures in a row` });
  }
  if (failureRatio !== undefined) {
    const breaker = new RatioBreaker(failureRatio, minRequests, window, clock);
    const reason = () => `${breaker.failures} of ${breaker.successes + breaker.failures} requests failed`;
    strategies.push({ breaker, reason });
  }
  return strategies;
}

function isTheirs(call: FailedCall): boolean {
  return "error" in call && !(call.error instanceof SluiceError && call.error.owner === "client");
}
