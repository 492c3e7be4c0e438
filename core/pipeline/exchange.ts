import {
  type Body,
  BytesBody,
  type CallProtocol,
  type Candidate,
  type Clock,
  type ConnectionFacts,
  type ContextKey,
  type ExchangeRequest,
  type ExchangeResponse,
  type HttpVersion,
  type Outcome,
  type Random,
  type SluiceError,
} from "sluice/plugin";
import type { Inbound } from "../listener/inbound.ts";
import { callDeadline } from "./call-deadline.ts";
import { callProtocolOf, callTypeOf } from "./call-protocol.ts";
import type { ClientAddress } from "./client-address.ts";
import { addLogField } from "./log-fields.ts";
import { type Passage, RequestBody } from "./request-body.ts";
import type { ResponseView } from "./response-view.ts";
import type { AtWork, GatewayExchange, ReadyStep, RequestRecord } from "./types.ts";

type CancelListener = (reason: unknown) => void;

/** What ends with the request, if it is not over by then. */
export interface Cancellable {
  cancelled(reason: unknown): void;
}

/** What an exchange is given by the gateway. */
export interface ExchangeDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly random: Random;
}

/** Who wants to know of a request's end. */
export interface EndListener {
  readonly listener: (outcome: Outcome) => void | Promise<void>;
  /** Whose it is; undefined for nobody's in particular. */
  readonly plugin: string | undefined;
}

/** Runs those who want to know of a request's end. */
export interface Ending {
  ended(listener: EndListener): void;
}

/** A body that another took the place of. */
interface Superseded {
  readonly body: Body;
  /** A plugin had begun to read it: what came in its place may be made of it. */
  readonly inUse: boolean;
}

/** Bytes of a request body that a plugin may read, where no listener says otherwise. */
const BUFFERED_BODY = 8 * 1024 * 1024;

const NO_CANDIDATES: readonly Candidate[] = Object.freeze([]);

/**
 * The one implementation of an exchange. There is one a request, so it holds little: what few requests need
 * (signal, context map, request id, views) is made when it is asked for.
 */
export class HttpExchange implements GatewayExchange, Passage {
  readonly inbound: Inbound;
  readonly request: ExchangeRequest;
  readonly record: RequestRecord;
  protocol: CallProtocol;
  callType: string;
  readonly clientAddress: string;
  readonly fromTrustedProxy: boolean;
  readonly startedAt: number;
  /** As the contract has it; NaN where the caller's field is malformed. */
  readonly deadline: number;
  readonly bufferedBody: number;
  route = "";
  tolerated: ReadonlySet<string> | undefined = undefined;
  departed = false;
  atWork: AtWork | undefined;
  /** The Fetch view of the answer, while a plugin holds one. */
  view: ResponseView | undefined;
  readonly #deps: ExchangeDeps;
  #candidates = NO_CANDIDATES;
  #chosenBy: ReadyStep | undefined;
  #response: ExchangeResponse | undefined;
  #requestId: string | undefined;
  #cancelReason: SluiceError | undefined;
  #listeners: (CancelListener | Cancellable | undefined)[] | undefined;
  /** Places up to here are not given to others: a mark was taken of them. */
  #marked = 0;
  #endListeners: Set<EndListener> | undefined;
  /** Set once it is over: listeners that come later are told at once. */
  #ending: Ending | undefined;
  #controller: AbortController | undefined;
  #context: Map<ContextKey<unknown>, unknown> | undefined;
  #superseded: Superseded[] | undefined;
  /** The exchange that this is a lifeless likeness of. */
  #original: HttpExchange | undefined;

  /**
   * @param path in normal form.
   * @param search the query with its `?`, or "".
   * @param startedAt `clock.monotonic()`.
   * @param bufferedBody the listener's `limits.buffered_body`.
   */
  constructor(
    inbound: Inbound,
    path: string,
    search: string,
    client: ClientAddress,
    startedAt: number,
    deps: ExchangeDeps,
    bufferedBody = BUFFERED_BODY,
  ) {
    const { method, headers, body } = inbound;
    this.inbound = inbound;
    this.record = {
      upstream: undefined,
      target: undefined,
      attempts: 0,
      upstreamStatus: 0,
      upstreamWait: 0,
      clientWait: 0,
      bytesIn: 0,
      failure: undefined,
      failedStep: undefined,
      fields: undefined,
    };
    this.request = {
      method,
      rawTarget: inbound.rawTarget,
      scheme: inbound.scheme,
      authority: inbound.authority,
      path,
      search,
      headers,
      body: body === null ? null : new RequestBody(body, this, true),
    };
    this.protocol = callProtocolOf(method, headers, search);
    const isCall = this.protocol !== "http";
    // As they came: a step may rewrite the headers, and the caller must be answered in what it speaks.
    this.callType = isCall ? callTypeOf(headers) : "";
    this.deadline = isCall ? callDeadline(this.protocol, headers, startedAt) : Number.POSITIVE_INFINITY;
    this.clientAddress = client.address;
    this.fromTrustedProxy = client.fromTrustedProxy;
    this.startedAt = startedAt;
    this.bufferedBody = bufferedBody;
    this.#deps = deps;
  }

  get connection(): ConnectionFacts {
    return this.inbound.connection;
  }

  get httpVersion(): HttpVersion {
    return this.inbound.httpVersion;
  }

  get candidates(): readonly Candidate[] {
    return this.#candidates;
  }

  set candidates(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
    this.#chosenBy = this.atWork?.step;
  }

  get chosenBy(): ReadyStep | undefined {
    return this.#chosenBy;
  }

  get response(): ExchangeResponse | undefined {
    this.view?.settle();
    return this.#response;
  }

  set response(next: ExchangeResponse | undefined) {
    if (this.#ending !== undefined) {
      // A step that was not waited for: nobody will read it.
      next?.body?.cancel();
      return;
    }
    const before = this.#response;
    if (before !== undefined && before.body !== null) this.#supersede(before, next);
    this.view = undefined;
    this.#response = next;
  }

  /** The answer as it stands, without a look at what a plugin may have changed in its Fetch view. */
  get answer(): ExchangeResponse | undefined {
    return this.#response;
  }

  get requestId(): string {
    this.#requestId ??= this.#deps.random.uuid();
    return this.#requestId;
  }

  set requestId(id: string) {
    this.#requestId = id;
  }

  get cancelled(): boolean {
    return this.#cancelReason !== undefined;
  }

  get cancelReason(): SluiceError | undefined {
    return this.#cancelReason;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.#cancelReason !== undefined) controller.abort(this.#cancelReason);
    }
    return this.#controller.signal;
  }

  onCancel(listener: CancelListener): () => void {
    if (this.#cancelReason !== undefined) {
      listener(this.#cancelReason);
      return ignore;
    }
    const listeners = (this.#listeners ??= []);
    const at = listeners.push(listener) - 1;
    return () => {
      if (listeners[at] !== listener) return;
      listeners[at] = undefined;
      this.#shorten(listeners);
    };
  }

  attach(work: Cancellable): void {
    if (this.#cancelReason !== undefined) work.cancelled(this.#cancelReason);
    else (this.#listeners ??= []).push(work);
  }

  detach(work: Cancellable): void {
    const listeners = this.#listeners;
    const at = listeners?.lastIndexOf(work) ?? -1;
    if (listeners === undefined || at < 0) return;
    listeners[at] = undefined;
    this.#shorten(listeners);
  }

  #shorten(listeners: unknown[]): void {
    while (listeners.length > this.#marked && listeners.at(-1) === undefined) listeners.pop();
  }

  cancel(reason: SluiceError): void {
    if (this.#cancelReason !== undefined) return;
    this.#cancelReason = reason;
    this.cancelSince(0, reason);
    this.#controller?.abort(reason);
  }

  /** Takes a mark for {@link cancelSince}: what is registered from now on stands behind it. */
  mark(): number {
    return (this.#marked = this.#listeners?.length ?? 0);
  }

  /**
   * Gives up what began after the mark was taken and is not over, and nothing else: one try of a step that
   * stopped waiting for it.
   */
  cancelSince(mark: number, reason: SluiceError): void {
    const listeners = this.#listeners;
    if (listeners === undefined) return;
    for (const listener of listeners.splice(mark)) {
      try {
        if (typeof listener === "function") listener(reason);
        else listener?.cancelled(reason);
      } catch {
        // A listener of a plugin; the others must hear of it all the same.
      }
    }
  }

  onEnd(listener: EndListener["listener"]): () => void {
    if (this.#original !== undefined) return this.#original.onEnd(listener);
    const entry = { listener, plugin: this.atWork?.step?.config.plugin };
    if (this.#ending !== undefined) {
      this.#ending.ended(entry);
      return ignore;
    }
    const listeners = (this.#endListeners ??= new Set());
    listeners.add(entry);
    return () => void listeners.delete(entry);
  }

  /** The request is over: each who wants to know is told by `ending`, now and later. */
  end(ending: Ending): void {
    this.#ending = ending;
    const listeners = this.#endListeners;
    this.#endListeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) ending.ended(listener);
  }

  logField(name: string, value: string | number | boolean | undefined): void {
    addLogField(this.record, name, value);
  }

  waitsFor(whose: "clientWait" | "upstreamWait"): () => void {
    const { clock } = this.#deps;
    const begun = clock.monotonic();
    const { atWork } = this;
    atWork?.pause();
    return () => {
      this.record[whose] += clock.monotonic() - begun;
      atWork?.resume();
    };
  }

  waitsForClient(): () => void {
    return this.waitsFor("clientWait");
  }

  get<T>(key: ContextKey<T>): T {
    const context = this.#context;
    return context !== undefined && context.has(key) ? (context.get(key) as T) : key.initial;
  }

  set<T>(key: ContextKey<T>, value: T): void {
    (this.#context ??= new Map()).set(key, value);
  }

  /**
   * Another run begins, without an answer. What the one before left of a body is let go at once, because it holds a
   * connection that this run may want; a clone that a plugin made of it lives on, and so does what it reads.
   */
  startOver(): void {
    this.response = undefined;
    const superseded = this.#superseded;
    if (superseded === undefined) return;
    this.#superseded = superseded.filter((one) => one.inUse);
    for (const { body, inUse } of superseded) if (!inUse) body.cancel();
  }

  /** Lets go of answers that others took the place of: connections and streams are held until then. */
  release(): void {
    if (this.#superseded === undefined) return;
    for (const { body } of this.#superseded) body.cancel();
    this.#superseded = undefined;
  }

  /** A cancelled likeness for a step that was given up: it may do there what it likes. */
  lifeless(reason: SluiceError): HttpExchange {
    const { connection, httpVersion } = this;
    const { method, rawTarget, scheme, authority, path, search } = this.request;
    const headers = this.request.headers.copy();
    const inbound: Inbound = {
      ...{ connection, httpVersion, method, rawTarget, scheme, authority, headers, body: null },
      respond: () => Promise.resolve({ bytes: 0, complete: false, firstByteAt: 0, error: reason }),
      inform: ignore,
      onGone: undefined,
    };
    const client = { address: this.clientAddress, fromTrustedProxy: this.fromTrustedProxy };
    const copy = new HttpExchange(inbound, path, search, client, this.startedAt, this.#deps);
    copy.protocol = this.protocol;
    copy.callType = this.callType;
    copy.route = this.route;
    copy.requestId = this.requestId;
    // What was reserved for the request is given back at its end, whoever asks for it.
    copy.#original = this.#original ?? this;
    if (this.#context !== undefined) copy.#context = new Map(this.#context);
    if (this.#response !== undefined)
      copy.#response = { ...this.#response, headers: this.#response.headers.copy(), body: null };
    copy.cancel(reason);
    return copy;
  }

  #supersede(before: ExchangeResponse, next: ExchangeResponse | undefined): void {
    const { view } = this;
    view?.settle();
    const { body } = before;
    if (body === null || body === next?.body || body instanceof BytesBody) return;
    const read = view?.isRead === true ? view.source : null;
    (this.#superseded ??= []).push({ body: read ?? body, inUse: read !== null });
  }
}

function ignore(): void {}
