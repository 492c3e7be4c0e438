import { type Clock, type ExchangeResponse, SluiceError } from "sluice/plugin";
import { ContextState } from "./context-state.ts";
import type { DeadlineSweep, Swept } from "./deadline-sweep.ts";
import type { HttpExchange } from "./exchange.ts";
import type { HonoMatch } from "./hono-match.ts";
import { RequestBody } from "./request-body.ts";
import { StepFrame } from "./step-frame.ts";
import type { GatewayExchange, Observer, ReadyStep } from "./types.ts";

/** A route's action: sets `exchange.response`, or throws or rejects with a SluiceError. */
export type Terminal = (exchange: GatewayExchange) => Promise<void> | undefined;

/** A route, compiled: what every run of it shares. */
export interface Plan {
  readonly route: string;
  readonly steps: readonly ReadyStep[];
  /** Beside `steps`: whether a step takes part; undefined for one that always does. */
  readonly conditions: readonly (((exchange: HttpExchange) => boolean) | undefined)[];
  readonly terminal: Terminal;
  readonly matchOf: (path: string) => HonoMatch;
  /** The answer that tells the caller of an error. */
  errorAnswer(exchange: HttpExchange, error: SluiceError): ExchangeResponse;
  readonly clock: Pick<Clock, "monotonic">;
  readonly observer: Pick<Observer, "stepFinished" | "strayFailure">;
  readonly sweep: DeadlineSweep;
}

/** The first step from `index` on that takes part in this request; the number of steps where none does. */
export function nextStep(plan: Plan, exchange: HttpExchange, index: number): number {
  const { conditions } = plan;
  for (; index < conditions.length; index++) {
    const condition = conditions[index];
    if (condition === undefined || condition(exchange)) break;
  }
  return index;
}

/**
 * One request on its way through a route that has steps for it. An error becomes an answer where it happens, as
 * with Hono: the steps above go on after their `next()`, see it in `c.error` and put their headers on it.
 */
export class PipelineRun implements Swept {
  before: Swept | undefined;
  after: Swept | undefined;
  readonly plan: Plan;
  readonly exchange: HttpExchange;
  readonly state: ContextState;
  /** The innermost step that is under way; it alone can be using up its time. */
  deepest: StepFrame | undefined;
  /** The answer when a step was over last. */
  #settled: ExchangeResponse | undefined;
  /** The answer that `state.error` became. */
  #errorAnswer: ExchangeResponse | undefined;
  #errorStatus = 0;

  constructor(plan: Plan, exchange: HttpExchange) {
    this.plan = plan;
    this.exchange = exchange;
    this.state = new ContextState(exchange, plan.matchOf, (plugin, error, from) =>
      plan.observer.strayFailure(plugin, error, from),
    );
  }

  /** Runs the steps from `index` on and the action. Does not reject; undefined when all was over at once. */
  start(index: number): Promise<void> | undefined {
    this.plan.sweep.add(this);
    return this.enter(index, undefined);
  }

  /**
   * Goes on below a step.
   * @param above the step that waits for what comes of it.
   */
  enter(index: number, above: StepFrame | undefined): Promise<void> | undefined {
    // Who comes next finds the body at its first byte, however far the step above has read.
    const { body } = this.exchange.request;
    if (body instanceof RequestBody) body.lookAgain();
    const at = nextStep(this.plan, this.exchange, index);
    if (at < this.plan.steps.length) return new StepFrame(this, at, above).start();
    return this.#act(above);
  }

  #act(above: StepFrame | undefined): Promise<void> | undefined {
    this.state.fold();
    let pending: Promise<void> | undefined;
    try {
      pending = this.plan.terminal(this.exchange);
    } catch (thrown) {
      this.fail(SluiceError.from(thrown));
      return undefined;
    }
    if (pending === undefined) {
      this.state.applyPrepared();
      return undefined;
    }
    return pending.then(
      () => {
        if (above === undefined || above.waits) this.state.applyPrepared();
        else this.#dropLate();
      },
      (thrown: unknown) => {
        if (above === undefined || above.waits) this.fail(SluiceError.from(thrown));
      },
    );
  }

  /** An error takes the place of whatever answer there was. */
  fail(error: SluiceError): void {
    const { exchange, state } = this;
    exchange.response = this.plan.errorAnswer(exchange, error);
    this.#errorAnswer = exchange.answer;
    this.#errorStatus = error.status;
    state.error = error;
    state.applyPrepared();
  }

  /** A step is over. */
  settled(): void {
    this.#settled = this.exchange.answer;
  }

  /** The action answered after the step above it had stopped waiting: what there was before stands. */
  #dropLate(): void {
    const { exchange } = this;
    const late = exchange.answer;
    if (late === undefined || late === this.#settled || late.source !== "upstream") return;
    exchange.response = this.#settled;
    late.body?.cancel();
  }

  /** The outermost step is over. */
  finish(): void {
    const { exchange, state } = this;
    this.plan.sweep.remove(this);
    exchange.atWork = undefined;
    try {
      exchange.view?.close();
    } catch (thrown) {
      this.fail(SluiceError.from(thrown, "plugin_failed"));
    }
    state.close();
    if (!(state.error instanceof SluiceError)) return;
    // A step may have put something better in the place of an error, such as a stale copy.
    const { answer } = exchange;
    if (answer === this.#errorAnswer || answer?.status === this.#errorStatus)
      exchange.record.failure = state.error;
  }

  checkDeadline(now: number): void {
    this.deepest?.checkDeadline(now);
  }
}
