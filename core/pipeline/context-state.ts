import type { ExecutionContext } from "hono";
import type { SluiceError } from "sluice/plugin";
import type { HttpExchange } from "./exchange.ts";
import type { HonoMatch } from "./hono-match.ts";
import {
  applyPrepared,
  NOTHING_PREPARED,
  preparedAsHeaders,
  preparedFrom,
  type PreparedHeaders,
  withPrepared,
} from "./prepared-headers.ts";
import { SluiceRequest } from "./request-view.ts";
import { ResponseView } from "./response-view.ts";

type StrayFailure = (plugin: string, error: unknown, exchange: HttpExchange) => void;

/** What the Hono contexts of one request share: every step has a context of its own over this. */
export class ContextState {
  readonly exchange: HttpExchange;
  readonly #match: (path: string) => HonoMatch;
  readonly #stray: StrayFailure;
  /** What went wrong below, as `c.error` shows it; the answer says the same. */
  error: Error | undefined;
  /** For answers that are still to be made (`c.status`). */
  status: number | undefined;
  vars: Map<unknown, unknown> | undefined;
  renderer: ((...args: unknown[]) => unknown) | undefined;
  layout: unknown;
  /** Headers for an answer that is still to come. */
  prepared: PreparedHeaders = NOTHING_PREPARED;
  #env: object | undefined;
  #request: SluiceRequest | undefined;
  /** `c.res` before there is an answer: its headers are prepared ones. */
  #blank: Response | undefined;
  #closed = false;
  /** The headers that `prepared` went onto. */
  #appliedTo: object | undefined;

  constructor(exchange: HttpExchange, match: (path: string) => HonoMatch, stray: StrayFailure) {
    this.exchange = exchange;
    this.#match = match;
    this.#stray = stray;
  }

  get request(): SluiceRequest {
    this.#request ??= new SluiceRequest(this.exchange, this.#match(this.exchange.request.path));
    return this.#request;
  }

  get env(): object {
    return (this.#env ??= {});
  }

  set env(env: object) {
    this.#env = env;
  }

  /** For work of a plugin that outlives the answer; its failure is reported, and nothing else becomes of it. */
  executionOf(plugin: string): ExecutionContext {
    return {
      waitUntil: (work: Promise<unknown>) => {
        Promise.resolve(work).catch((error: unknown) => this.#stray(plugin, error, this.exchange));
      },
      passThroughOnException: () => {},
      props: {},
    };
  }

  /** The Fetch view of the answer; before there is one, an empty `Response` with the prepared headers. */
  get response(): Response {
    const { answer } = this.exchange;
    if (answer === undefined) {
      this.#blank ??= new Response(null, { headers: preparedAsHeaders(this.prepared) });
      return this.#blank;
    }
    if (this.#closed) return ResponseView.of({ ...answer, body: null }).response;
    return this.#view(answer).response;
  }

  /** Hono's setter: what the answer had in headers stands over those of its successor. */
  set response(next: Response | undefined) {
    if (this.#closed) return;
    const before = this.exchange.response;
    if (next === undefined) {
      this.#blank = undefined;
      this.exchange.response = undefined;
      return;
    }
    if (this.exchange.view?.isOf(next) === true) return;
    const view = ResponseView.adopt(next, before);
    if (before !== undefined) this.#appliedTo = view.answer.headers;
    this.#adopted(view);
  }

  /** A step answered. @param complete the prepared headers are in it already. */
  adopt(response: Response, complete: boolean): void {
    const view = ResponseView.adopt(response);
    if (complete) this.#appliedTo = view.answer.headers;
    this.#adopted(view);
  }

  /** What an answer that a step makes now begins with, as Hono has it: the answer's headers, or the prepared ones. */
  headersForAnswer(): Headers {
    const answer = this.exchange.response;
    if (answer === undefined) {
      this.fold();
      return preparedAsHeaders(this.prepared);
    }
    const headers = answer.headers.toHeaders();
    headers.delete("content-length");
    return headers;
  }

  header(name: string, value: string | undefined, append: boolean): void {
    const { answer } = this.exchange;
    if (answer === undefined) {
      this.fold();
      this.prepared = withPrepared(this.prepared, name, value, append);
      return;
    }
    if (value === undefined) answer.headers.delete(name);
    else if (append) answer.headers.append(name, value);
    else answer.headers.set(name, value);
  }

  /** What a step set in `c.res.headers` before there is an answer becomes prepared headers. */
  fold(): void {
    if (this.#blank === undefined) return;
    this.prepared = preparedFrom(this.#blank.headers, this.prepared);
    this.#blank = undefined;
  }

  /** Forgets what was prepared after `prepared` was taken. */
  goBackTo(prepared: PreparedHeaders): void {
    this.#blank = undefined;
    this.prepared = prepared;
  }

  /** The answer leaves now: who still holds a context must not read its body along with the client. */
  close(): void {
    this.exchange.view = undefined;
    this.#closed = true;
  }

  /** Puts the prepared headers onto an answer that has come. */
  applyPrepared(): void {
    const { answer } = this.exchange;
    if (answer === undefined || answer.headers === this.#appliedTo) return;
    this.fold();
    this.#appliedTo = answer.headers;
    if (this.prepared.length > 0) applyPrepared(this.prepared, answer.headers);
  }

  /** A likeness without effect, for a step that was given up. */
  lifeless(reason: SluiceError): ContextState {
    const copy = new ContextState(this.exchange.lifeless(reason), this.#match, this.#stray);
    copy.error = this.error;
    copy.status = this.status;
    copy.renderer = this.renderer;
    copy.layout = this.layout;
    copy.prepared = this.prepared;
    if (this.vars !== undefined) copy.vars = new Map(this.vars);
    return copy;
  }

  #adopted(view: ResponseView): void {
    this.exchange.response = view.answer;
    this.exchange.view = view;
  }

  #view(answer: NonNullable<HttpExchange["answer"]>): ResponseView {
    const { view } = this.exchange;
    if (view?.fits === true) return view;
    view?.settle();
    return (this.exchange.view = ResponseView.of(answer));
  }
}
