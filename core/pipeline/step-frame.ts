import { type Body, ERROR_CODES, type ExchangeResponse, SluiceError } from "sluice/plugin";
import { WatchedBody } from "./body-stream.ts";
import { asHono, isComplete, SluiceContext } from "./hono-context.ts";
import type { PipelineRun } from "./pipeline-run.ts";
import type { PreparedHeaders } from "./prepared-headers.ts";
import { TimedWork } from "./timed-work.ts";
import type { ReadyStep } from "./types.ts";

/** The step's own code runs, or it waits for something of its own. */
const OWN = 0;
/** It waits for `next()`. */
const BELOW = 1;
/** It failed and its `on_error` is `continue`: what is below goes on in its place. */
const REPLACED = 2;
/** It is over, or was given up. */
const OVER = 3;

const AT_ONCE = Promise.resolve();

/** What the step handed on with `next()`; it finds it again afterwards, and may hand it on once more. */
interface WayIn {
  readonly path: string;
  readonly search: string;
  readonly body: Body | null;
  readonly prepared: PreparedHeaders;
}

/** The answer as it was after `next()`. */
interface WayOut {
  readonly response: ExchangeResponse;
  readonly body: WatchedBody | null;
}

/**
 * One step at work on one request: its time, its `next()`, and what becomes of the request when it fails. Its
 * promise never rejects; a failure is an answer by then.
 */
export class StepFrame extends TimedWork {
  readonly step: ReadyStep;
  readonly #run: PipelineRun;
  readonly #index: number;
  readonly #above: StepFrame | undefined;
  readonly #context: SluiceContext;
  #phase: typeof OWN | typeof BELOW | typeof REPLACED | typeof OVER = OWN;
  /** What the steps above had prepared when this one began. */
  readonly #prepared: PreparedHeaders;
  #wayIn: WayIn | undefined;
  #wayOut: WayOut | undefined;
  /** Of the exchange's cancel listeners those from here on belong to what is below. */
  #cancelMark = 0;
  /** The step has returned without waiting for the `next()` that it called. */
  #returned = false;
  #resolve: (() => void) | undefined;

  constructor(run: PipelineRun, index: number, above: StepFrame | undefined) {
    super(run.plan.clock);
    this.#run = run;
    this.#index = index;
    this.#above = above;
    this.step = run.plan.steps[index]!;
    this.#context = new SluiceContext(run.state, this.step.config.plugin);
    this.#prepared = run.state.prepared;
    run.deepest = this;
    run.exchange.atWork = this;
  }

  /** Whether what comes from below is still wanted. */
  get waits(): boolean {
    return this.#phase === BELOW || this.#phase === REPLACED;
  }

  /** Undefined when the step is over at once. */
  start(): Promise<void> | undefined {
    let result: unknown;
    try {
      result = this.step.instance.handle(asHono(this.#context), () => this.#next());
    } catch (thrown) {
      this.#threw(thrown);
      return this.#end();
    }
    if (!isPromise(result)) {
      this.#gave(result);
      return this.#end();
    }
    result.then(
      (value) => this.#gave(value),
      (thrown: unknown) => this.#threw(thrown),
    );
    return this.#end();
  }

  /** @param now `clock.monotonic()`. */
  checkDeadline(now: number): void {
    const { key, timeout } = this.step.config;
    if (this.#phase !== OWN || !this.overran(timeout, now)) return;
    const error = new SluiceError("plugin_timeout", ERROR_CODES.plugin_timeout.meaning, {
      cause: new Error(`step ${key} took more than ${timeout} ms`),
    });
    this.#fail(error, "timeout");
  }

  #end(): Promise<void> | undefined {
    if (this.#phase === OVER) return undefined;
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  #next(): Promise<void> {
    if (this.#phase !== OWN)
      return misuse(
        this.#phase === BELOW ? "next() ran again before it was over" : "next() ran in a step that is over",
      );
    const { exchange, state } = this.#run;
    state.fold();
    const { path, search, body } = exchange.request;
    if (this.#wayIn !== undefined) {
      if (body !== null && body === this.#wayIn.body && body.rewind?.() !== true)
        return misuse("next() cannot run again: the request body went upstream and was not kept");
      exchange.record.failedStep = undefined;
      state.error = undefined;
      exchange.departed = false;
      exchange.startOver();
    } else if (exchange.answer !== undefined) exchange.response = undefined;
    this.#wayIn = { path, search, body, prepared: state.prepared };
    this.pause();
    this.#phase = BELOW;
    this.#cancelMark = exchange.mark();
    const pending = this.#run.enter(this.#index + 1, this);
    if (pending === undefined) {
      this.#resume();
      return AT_ONCE;
    }
    return pending.then(() => this.#resume());
  }

  #resume(): void {
    if (this.#phase === REPLACED) return this.#settle();
    if (this.#phase !== BELOW) return undefined;
    this.#begin();
    this.#takeBack(this.#wayIn!);
    if (this.step.config.onError === "continue") this.#wayOut = this.#keepAnswer();
    if (this.#returned) this.#gave(undefined);
    return undefined;
  }

  /** Undoes what the steps below changed on the way in, save for headers. */
  #takeBack(to: WayIn): void {
    const { exchange, state } = this.#run;
    exchange.request.path = to.path;
    exchange.request.search = to.search;
    exchange.request.body = to.body;
    state.goBackTo(to.prepared);
  }

  #keepAnswer(): WayOut | undefined {
    const response = this.#run.exchange.response;
    if (response === undefined) return undefined;
    const body = response.body === null ? null : new WatchedBody(response.body);
    response.body = body;
    return { response: { ...response, headers: response.headers.copy() }, body };
  }

  #gave(value: unknown): void {
    const answered = value instanceof Response;
    if (this.#phase === BELOW && !answered) {
      this.#returned = true;
      return;
    }
    if (this.#phase !== OWN && this.#phase !== BELOW) {
      if (answered) value.body?.cancel().catch(ignore);
      return;
    }
    const { exchange, state } = this.#run;
    if (this.#phase === BELOW) this.#giveUpBelow();
    try {
      if (answered && exchange.answer === undefined) state.adopt(value, isComplete(value));
    } catch (thrown) {
      this.#threw(thrown);
      return;
    }
    if (exchange.answer === undefined) {
      this.#threw(
        brokenContract("no_response", "the step neither called next() nor answered the request itself"),
      );
      return;
    }
    state.applyPrepared();
    this.pause();
    this.#observe("ok");
    this.#settle();
  }

  #threw(thrown: unknown): void {
    if (this.#phase !== OWN && this.#phase !== BELOW) return;
    const { cancelReason } = this.#run.exchange;
    // What a step that waited for the network throws when the client leaves is no failure of the plugin.
    if (cancelReason !== undefined && !(thrown instanceof SluiceError)) this.#fail(cancelReason, "ok");
    else if (thrown instanceof SluiceError) this.#fail(thrown, thrown.owner === "plugin" ? "error" : "ok");
    else if (hasResponse(thrown)) this.#fail(thrown, "ok");
    else {
      const { meaning } = ERROR_CODES.plugin_failed;
      this.#fail(new SluiceError("plugin_failed", meaning, { cause: thrown }), "error");
    }
  }

  #fail(error: SluiceError | ErrorWithResponse, outcome: "ok" | "error" | "timeout"): void {
    const isBelow = this.#phase === BELOW;
    if (!isBelow) this.pause();
    const tolerated = this.step.config.onError === "continue" && !isRefusal(error);
    this.#observe(tolerated && outcome === "ok" ? "error" : outcome);
    if (outcome !== "ok" || tolerated) {
      const reason = error instanceof SluiceError ? error : new SluiceError("plugin_failed", error.message);
      this.#context.cutOff(this.#run.state.lifeless(reason));
    }
    if (tolerated && this.#goOnWithout(isBelow)) return;
    if (isBelow) this.#giveUpBelow();
    if (outcome !== "ok") this.#run.exchange.record.failedStep = this.step.config.key;
    if (error instanceof SluiceError) this.#run.fail(error);
    else this.#answerWith(error);
    this.#settle();
  }

  /** As if the step were not there. False where it used up the answer that it was to hand on. */
  #goOnWithout(isBelow: boolean): boolean {
    const { exchange, state } = this.#run;
    if (this.#wayIn !== undefined && !isBelow) {
      const kept = this.#wayOut;
      if (kept === undefined || kept.body?.touched === true) return false;
      exchange.response = kept.response;
      this.#settle();
      return true;
    }
    this.#phase = REPLACED;
    if (isBelow) return true;
    exchange.response = undefined;
    state.goBackTo(this.#prepared);
    const pending = this.#run.enter(this.#index + 1, this);
    if (pending === undefined) this.#settle();
    else pending.then(() => this.#resume()).catch(ignore);
    return true;
  }

  /** Hono's HTTPException and its like bring their own answer. */
  #answerWith(error: ErrorWithResponse): void {
    const { exchange, state } = this.#run;
    exchange.response = undefined;
    try {
      state.adopt(error.getResponse(), false);
      state.applyPrepared();
      state.error = error;
    } catch (thrown) {
      this.#run.fail(SluiceError.from(thrown, "plugin_failed"));
    }
  }

  /** The step went on without waiting for what is below: that is given up, and what comes of it is ignored. */
  #giveUpBelow(): void {
    const { deepest, exchange } = this.#run;
    this.#begin();
    for (let frame = deepest; frame !== undefined && frame !== this; frame = frame.#above) frame.#abandon();
    this.#run.deepest = this;
    exchange.cancelSince(
      this.#cancelMark,
      new SluiceError("client_closed", "A step stopped waiting.", { reason: "abandoned" }),
    );
  }

  #abandon(): void {
    this.#phase = OVER;
    this.#context.cutOff(
      this.#run.state.lifeless(new SluiceError("client_closed", "", { reason: "abandoned" })),
    );
  }

  #settle(): void {
    this.#phase = OVER;
    this.#run.deepest = this.#above;
    this.#run.settled();
    if (this.#above === undefined) this.#run.finish();
    this.#resolve?.();
  }

  /** It has waited for what is below, and its own code goes on. */
  #begin(): void {
    this.#phase = OWN;
    this.resume();
    this.#run.exchange.atWork = this;
  }

  #observe(outcome: "ok" | "error" | "timeout"): void {
    const { observer, route } = this.#run.plan;
    observer.stepFinished(this.step, route, this.own / 1000, outcome);
  }
}

interface ErrorWithResponse extends Error {
  getResponse(): Response;
  readonly status?: number;
}

function hasResponse(thrown: unknown): thrown is ErrorWithResponse {
  return thrown instanceof Error && "getResponse" in thrown && typeof thrown.getResponse === "function";
}

/** An answer that the plugin meant to give, which `on_error: continue` leaves alone. */
function isRefusal(error: SluiceError | ErrorWithResponse): boolean {
  return error instanceof SluiceError ? error.owner === "client" : (error.status ?? 500) < 500;
}

function brokenContract(reason: string, what: string): SluiceError {
  return new SluiceError("plugin_failed", ERROR_CODES.plugin_failed.meaning, {
    reason,
    cause: new Error(what),
  });
}

function misuse(what: string): Promise<never> {
  const refused = Promise.reject(brokenContract("next", what));
  // A step that is over may not be waiting for it; one that is gets the error all the same.
  refused.catch(ignore);
  return refused;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

function ignore(): void {}
