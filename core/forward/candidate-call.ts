import { type Clock, ERROR_CODES, SluiceError } from "sluice/plugin";
import type { DeadlineSweep, Swept } from "../pipeline/deadline-sweep.ts";
import { TimedWork } from "../pipeline/timed-work.ts";
import type { GatewayExchange, Observer, ReadyStep } from "../pipeline/types.ts";

/** Milliseconds for a candidate of nobody's step; a step's own default. */
const DEFAULT_TIMEOUT = 10_000;

export interface CandidateCallDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly sweep: DeadlineSweep;
  readonly observer: Pick<Observer, "stepFinished">;
}

/** What became of a candidate's `prepare` or `accept` that failed. */
export interface CandidateFailure {
  readonly error: SluiceError;
  /** The plugin's own failure, rather than an answer that it meant to give. */
  readonly outcome: "ok" | "error" | "timeout";
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
    const failure = judged(thrown, call, x);
    const { step } = call;
    if (failure.outcome !== "ok" && step !== undefined)
      deps.observer.stepFinished(step, x.route, call.own / 1000, failure.outcome);
    return failure;
  } finally {
    // A step that has stopped waiting for this is at work by now.
    if (x.atWork === call) x.atWork = above;
  }
}

function judged(thrown: unknown, { overdue }: CandidateCall, x: GatewayExchange): CandidateFailure {
  if (overdue !== undefined && thrown === overdue) return { error: overdue, outcome: "timeout" };
  // What code that waited for the network throws when the client leaves is no failure of the plugin.
  if (x.cancelReason !== undefined && (thrown === x.cancelReason || !(thrown instanceof SluiceError)))
    return { error: x.cancelReason, outcome: "ok" };
  const error = SluiceError.from(thrown, "plugin_failed");
  return { error, outcome: error.owner === "plugin" ? "error" : "ok" };
}

class CandidateCall extends TimedWork implements Swept {
  before: Swept | undefined;
  after: Swept | undefined;
  readonly step: ReadyStep | undefined;
  overdue: SluiceError | undefined;
  #reject: ((error: SluiceError) => void) | undefined;

  constructor(step: ReadyStep | undefined, clock: Pick<Clock, "monotonic">) {
    super(clock);
    this.step = step;
  }

  checkDeadline(now: number): void {
    const timeout = this.step?.config.timeout ?? DEFAULT_TIMEOUT;
    if (!this.overran(timeout, now)) return;
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
