import { EventEmitter } from "cockatiel";
import { type BulkheadPolicy, type Clock, SluiceError } from "sluice/plugin";
import type { BulkheadConfig } from "../../config/types.ts";
import { Calls, noSignal } from "./calls.ts";
import { retryAfter } from "./retry-after.ts";

export type Bulkhead = BulkheadPolicy;

/** A call that waits for its turn: a link of the queue, so that it leaves from any place in it at once. */
interface Waiter {
  before: Waiter | undefined;
  after: Waiter | undefined;
  /** Monotonic milliseconds. */
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  waits: boolean;
}

/** A longer timer would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * A bulkhead on the injected clock; how it works says {@link BulkheadPolicy}. Cockatiel's own knows no time-out in its
 * queue, and a call that is cancelled holds its place there until its turn has come.
 */
export function createBulkhead(
  config: BulkheadConfig,
  clock: Pick<Clock, "monotonic" | "setTimeout">,
): Bulkhead {
  return new QueuedBulkhead(config, clock);
}

class QueuedBulkhead implements BulkheadPolicy {
  declare readonly _altReturn: never;
  readonly onSuccess: BulkheadPolicy["onSuccess"];
  readonly onFailure: BulkheadPolicy["onFailure"];
  readonly #rejections = new EventEmitter<void>();
  readonly onReject: BulkheadPolicy["onReject"] = this.#rejections.addListener;
  readonly #config: BulkheadConfig;
  readonly #clock: Pick<Clock, "monotonic" | "setTimeout">;
  readonly #calls: Calls;
  #active = 0;
  // There are some only while the full number is under way.
  #waiting = 0;
  #first: Waiter | undefined;
  #last: Waiter | undefined;
  /** One timer for all that wait: each waits equally long, so the first in the queue is also the first to give up. */
  #stopTimer: (() => void) | undefined;

  constructor(config: BulkheadConfig, clock: Pick<Clock, "monotonic" | "setTimeout">) {
    this.#config = config;
    this.#clock = clock;
    this.#calls = new Calls(clock);
    this.onSuccess = this.#calls.onSuccess;
    this.onFailure = this.#calls.onFailure;
  }

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#waiting;
  }

  enter(onCancel?: (cancel: (reason: unknown) => void) => void): Promise<void> | undefined {
    if (this.#active < this.#config.concurrency) {
      this.#active++;
      return undefined;
    }
    return this.#wait(onCancel);
  }

  leave(): void {
    const next = this.#first;
    if (next === undefined) {
      this.#active--;
      return;
    }
    // It takes the place that becomes free.
    this.#remove(next);
    next.resolve();
  }

  async execute<T>(
    fn: (context: { readonly signal: AbortSignal }) => PromiseLike<T> | T,
    signal: AbortSignal = noSignal(),
  ): Promise<T> {
    signal.throwIfAborted();
    await this.#turn(signal);
    const since = this.#calls.begin();
    let value: T;
    try {
      // It may have been aborted since its turn came.
      signal.throwIfAborted();
      value = await fn({ signal });
    } catch (error) {
      this.leave();
      this.#calls.failed(since, false, { error });
      throw error;
    }
    this.leave();
    this.#calls.succeeded(since);
    return value;
  }

  async #turn(signal: AbortSignal): Promise<void> {
    let aborted: (() => void) | undefined;
    try {
      await this.enter((cancel) => {
        aborted = () => cancel(signal.reason);
        signal.addEventListener("abort", aborted);
      });
    } finally {
      if (aborted !== undefined) signal.removeEventListener("abort", aborted);
    }
  }

  #wait(onCancel: ((cancel: (reason: unknown) => void) => void) | undefined): Promise<void> {
    const { queue, queueTimeout } = this.#config;
    if (this.#waiting >= queue) {
      this.#rejections.emit();
      return Promise.reject(refusal("Too many requests are under way."));
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const deadline = this.#clock.monotonic() + queueTimeout;
    const waiter: Waiter = { before: this.#last, after: undefined, deadline, resolve, reject, waits: true };
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.after = waiter;
    this.#last = waiter;
    this.#waiting++;
    if (this.#stopTimer === undefined) this.#startTimer(queueTimeout);
    const cancel = (reason: unknown): void => {
      if (!waiter.waits) return;
      this.#remove(waiter);
      reject(reason);
    };
    try {
      onCancel?.(cancel);
    } catch (error) {
      // Nobody would know that its turn has come.
      cancel(error);
    }
    return promise;
  }

  /** It waits no longer. */
  #remove(waiter: Waiter): void {
    const { before, after } = waiter;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    waiter.waits = false;
    this.#waiting--;
    if (this.#waiting > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #startTimer(ms: number): void {
    this.#stopTimer = this.#clock.setTimeout(
      () => {
        this.#stopTimer = undefined;
        this.#endWaits();
      },
      Math.min(Math.ceil(ms), LONGEST_TIMER),
    );
  }

  /** Those that have waited for too long are refused. */
  #endWaits(): void {
    const now = this.#clock.monotonic();
    for (let first = this.#first; first !== undefined && first.deadline <= now; first = this.#first) {
      this.#remove(first);
      first.reject(refusal("Too many requests were under way for too long."));
      this.#rejections.emit();
    }
    if (this.#first !== undefined && this.#stopTimer === undefined)
      this.#startTimer(this.#first.deadline - now);
  }
}

function refusal(message: string): SluiceError {
  return new SluiceError("unavailable", message, { reason: "bulkhead", headers: retryAfter(0) });
}
