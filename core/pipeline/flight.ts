import type { Body, Clock, ExchangeResponse, Outcome, SluiceError } from "sluice/plugin";
import type { Sent } from "../listener/inbound.ts";
import { deadlinePassed } from "./call-deadline.ts";
import type { Swept } from "./deadline-sweep.ts";
import type { EndListener, Ending, HttpExchange } from "./exchange.ts";
import type { Generation } from "./generation.ts";
import type { Observer, ReadyRoute } from "./types.ts";

/** What a flight needs of the gateway. */
export interface FlightDeck {
  readonly clock: Pick<Clock, "monotonic" | "setTimeout">;
  readonly observer: Pick<Observer, "finished" | "strayFailure">;
  /** Ends a request before its time; what has no answer yet is answered with `reason`. */
  cut(flight: Flight, reason: SluiceError): void;
}

/** How long a reload may wait for what plugins do at a request's end, milliseconds. */
const END_TIME = 5_000;

/** One request under way, and its end: what is told of it, to whom, and what is let go then. */
export class Flight implements Swept, Ending {
  before: Swept | undefined;
  after: Swept | undefined;
  readonly exchange: HttpExchange;
  readonly generation: Generation;
  route: ReadyRoute | undefined;
  /** The answer is on its way out: what the pipeline still does has no effect on it. */
  answering = false;
  readonly #deck: FlightDeck;
  /** The answer and the failure as they were when it left; a step that was cut may still change the exchange. */
  #answer: ExchangeResponse | undefined;
  #status = 0;
  #body: Body | null = null;
  #failure: SluiceError | undefined;
  #failedStep: string | undefined;
  #sent: Sent | undefined;
  /** How it ended, for who asked. */
  #outcome: Outcome | undefined;
  /** What plugins do at its end, as far as it takes time. */
  #pending: Promise<unknown>[] | undefined;

  /** The generation is retained until the request is over. */
  constructor(exchange: HttpExchange, generation: Generation, deck: FlightDeck) {
    this.exchange = exchange;
    this.generation = generation;
    this.#deck = deck;
    generation.retain();
  }

  /** The answer that left, or is leaving. */
  get left(): ExchangeResponse | undefined {
    return this.#answer;
  }

  checkDeadline(now: number): void {
    const { deadline, cancelled, record } = this.exchange;
    if (now >= deadline && !cancelled) this.#deck.cut(this, deadlinePassed(record));
  }

  /** Notes what is sent: log, metrics and plugins are told of nothing else. */
  leaves(answer: ExchangeResponse): void {
    const { failure, failedStep } = this.exchange.record;
    this.#answer = answer;
    this.#status = answer.status;
    this.#body = answer.body;
    this.#failure = failure;
    this.#failedStep = failedStep;
  }

  /** The last byte has left, or none will. Throws what the observer throws. */
  over(sent: Sent): void {
    const { exchange } = this;
    this.#sent = sent;
    try {
      this.#putBack();
      if (exchange.cancelled) this.#seal();
      exchange.release();
    } catch (error) {
      // Bodies of plugins are let go of here.
      this.#deck.observer.strayFailure(undefined, error, exchange);
    }
    try {
      exchange.end(this);
      this.#deck.observer.finished(exchange, sent);
    } finally {
      if (this.#pending === undefined) this.generation.release();
      else void this.#releaseLater(this.#pending);
    }
  }

  /** Tells a plugin that asked for it how the request ended. Does not throw. */
  ended({ listener, plugin }: EndListener): void {
    const failed = (error: unknown): void => this.#deck.observer.strayFailure(plugin, error, this.exchange);
    this.#outcome ??= this.#outcomeOf(this.#sent!);
    try {
      const pending = listener(this.#outcome);
      if (pending !== undefined) (this.#pending ??= []).push(Promise.resolve(pending).catch(failed));
    } catch (error) {
      failed(error);
    }
  }

  /** The exchange tells of what was sent, whatever a step has made of it meanwhile: that is let go with the rest. */
  #putBack(): void {
    const { exchange } = this;
    const { record } = exchange;
    const answer = this.#answer;
    if (answer !== undefined) {
      if (answer.body !== this.#body) answer.body?.cancel();
      const same = answer.body === this.#body && answer.status === this.#status;
      // A step may hold it, and may have frozen it.
      exchange.response = same ? answer : { ...answer, status: this.#status, body: this.#body };
    } else this.#status = exchange.answer?.status ?? 0;
    if (this.#failure === undefined) {
      // The answer may have broken off.
      this.#failure = record.failure;
    } else {
      record.failure = this.#failure;
      record.failedStep = this.#failedStep;
    }
  }

  /** A step that runs on holds the answer, and may put a body into it that nobody would read. */
  #seal(): void {
    if (this.#answer === undefined) return;
    // In vain where it is frozen: nothing can be put into it then.
    Reflect.defineProperty(this.#answer, "body", {
      get: () => this.#body,
      set(late: Body | null) {
        late?.cancel();
      },
    });
  }

  #outcomeOf(sent: Sent): Outcome {
    const { record, startedAt } = this.exchange;
    return Object.freeze({
      complete: sent.complete,
      status: this.#status,
      bytesIn: record.bytesIn,
      bytesOut: sent.bytes,
      failure: this.#failure,
      durationMs: this.#deck.clock.monotonic() - startedAt,
    });
  }

  /** The plugins of a generation are not closed while they settle a request; not for ever, if they hang. */
  async #releaseLater(pending: readonly Promise<unknown>[]): Promise<void> {
    await new Promise<void>((resolve) => {
      const stop = this.#deck.clock.setTimeout(resolve, END_TIME);
      void Promise.all(pending).then(() => {
        stop();
        resolve();
      });
    });
    this.generation.release();
  }
}
