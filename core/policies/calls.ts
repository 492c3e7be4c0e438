import { EventEmitter } from "cockatiel";
import type { Clock, FailedCall, Policy } from "sluice/plugin";

type EventOf<Name extends "onSuccess" | "onFailure"> = Parameters<Parameters<Policy[Name]>[0]>[0];

/** What the calls of a policy have come to, for whoever listens. */
export class Calls {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #successes = new EventEmitter<EventOf<"onSuccess">>();
  readonly #failures = new EventEmitter<EventOf<"onFailure">>();
  readonly onSuccess: Policy["onSuccess"] = this.#successes.addListener;
  readonly onFailure: Policy["onFailure"] = this.#failures.addListener;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** A call begins. Answers since when, to be given to what follows. */
  begin(): number {
    return this.#clock.monotonic();
  }

  succeeded(since: number): void {
    if (this.#successes.size > 0) this.#successes.emit({ duration: this.#clock.monotonic() - since });
  }

  failed(since: number, handled: boolean, reason: FailedCall): void {
    if (this.#failures.size === 0) return;
    this.#failures.emit({ duration: this.#clock.monotonic() - since, handled, reason });
  }
}

/** For calls that nobody aborts: a signal of their own, or what listens to it would stay for ever. */
export function noSignal(): AbortSignal {
  return new AbortController().signal;
}
