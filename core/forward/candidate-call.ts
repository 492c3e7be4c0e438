import { type Clock, ERROR_CODES, SluiceError } from "sluice/plugin";
import type { DeadlineSweep, Swept } from "../pipeline/deadline-sweep.ts";
import type { AtWork, GatewayExchange, Observer, ReadyStep } from "../pipeline/types.ts";

/** Milliseconds for a candidate of nobody's step; a step's own default. */
const DEFAULT_TIMEOUT = 10_000;

export interface CandidateCallDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly sweep: DeadlineSweep;
  readonly observer: Pick<Observer, "stepFinished">;
}

/** What became of a candidate's `prepare` or `accept` that failed. */
export class CandidateFailure {
  readonly error: SluiceError;
  /** The plugin's own failure, rather than an answer that it meant to give. */
  readonly outcome: "ok" | "error" | "timeout";

  constructor(error: SluiceError, outcome: "ok" | "error" | "timeout") {
    this.error = error;
    this.outcome = outcome;
  }
}

/**
 * Runs a candidate's `prepare` or `accept`: its own time is bounded by the timeout of the step that chose the candidate,
 * and it is not waited for once the request is cancelled. A failure of the plugin is reported as that step's.
 * @returns the failure; undefined where there was none.
 */
export async function runCandidate(
  x: GatewayExchange,
  work: () => void | Promise<void>,
  deps: CandidateCallDeps,
): Promise<CandidateFailure | undefined> {
  const call = new CandidateCall(x.chosenBy, deps.clock);
  const above = x.atWork;
  x.atWork = call;
  try {
    const pending = work();
    if (pending !== undefined) await call.over(Promise.resolve(pending), x, deps.sweep);
    return undefined;
  } catch (thrown) {
    const failure = failureOf(thrown, call, x);
    const { step } = call;
    if (failure.outcome !== "ok" && step !== undefined)
      deps.observer.stepFinished(step, x.route, call.own / 1000, failure.outcome);
    return failure;
  } finally {
    x.atWork = above;
  }
}

function failureOf(thrown: unknown, call: CandidateCall, x: GatewayExchange): CandidateFailure {
  if (call.overdue !== undefined && thrown === call.overdue)
    return new CandidateFailure(call.overdue, "timeout");
  // What code that waited for the network throws when the client leaves is no failure of the plugin.
  if (x.cancelReason !== undefined && (thrown === x.cancelReason || !(thrown instanceof SluiceError)))
    return new CandidateFailure(x.cancelReason, "ok");
  const error = SluiceError.from(thrown, "plugin_failed");
  return new CandidateFailure(error, error.owner === "plugin" ? "error" : "ok");
}

class CandidateCall implements AtWork, Swept {
  before: Swept | undefined;
  after: Swept | undefined;
  readonly step: ReadyStep | undefined;
  overdue: SluiceError | undefined;
  readonly #clock: Pick<Clock, "monotonic">;
  #own = 0;
  #since: number;
  #waits = 0;
  #reject: ((error: SluiceError) => void) | undefined;

  constructor(step: ReadyStep | undefined, clock: Pick<Clock, "monotonic">) {
    this.step = step;
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  /** Milliseconds that were its own. */
  get own(): number {
    return this.#waits > 0 ? this.#own : this.#own + this.#clock.monotonic() - this.#since;
  }

  pause(): void {
    this.#own = this.own;
    this.#waits++;
  }

  resume(): void {
    if (--this.#waits === 0) this.#since = this.#clock.monotonic();
  }

  checkDeadline(): void {
    const timeout = this.step?.config.timeout ?? DEFAULT_TIMEOUT;
    if (this.#waits > 0 || this.own <= timeout) return;
    const where = this.step === undefined ? "a candidate" : `a candidate of step ${this.step.config.key}`;
    this.overdue = new SluiceError("plugin_timeout", ERROR_CODES.plugin_timeout.meaning, {
      cause: new Error(`${where} took more than ${timeout} ms`),
    });
    this.#reject?.(this.overdue);
  }

  /** Answers when the work is over; rejects when it fails, when its time is up and when the request is cancelled. */
  async over(work: Promise<void>, x: GatewayExchange, sweep: DeadlineSweep): Promise<void> {
    let takeBack: (() => void) | undefined;
    sweep.add(this);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#reject = reject;
        work.then(resolve, reject);
        takeBack = x.onCancel(reject);
      });
    } finally {
      sweep.remove(this);
      takeBack?.();
    }
  }
}
