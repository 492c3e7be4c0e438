import type {
  Body,
  CallProtocol,
  Candidate,
  ConnectionFacts,
  ContextKey,
  ExchangeRequest,
  ExchangeResponse,
  HttpVersion,
  Random,
  SluiceError,
} from "sluice/plugin";
import type { Inbound } from "../listener/inbound.ts";
import { callProtocolOf } from "./call-protocol.ts";
import type { ClientAddress } from "./client-address.ts";
import { RequestBody } from "./request-body.ts";
import type { ResponseView } from "./response-view.ts";
import type { GatewayExchange, RequestRecord } from "./types.ts";

type CancelListener = (reason: unknown) => void;

const NO_CANDIDATES: readonly Candidate[] = Object.freeze([]);

/**
 * The one implementation of an exchange. There is one a request, so it holds little: what few requests need
 * (signal, context map, request id, views) is made when it is asked for.
 */
export class HttpExchange implements GatewayExchange {
  readonly inbound: Inbound;
  readonly request: ExchangeRequest;
  readonly record: RequestRecord;
  readonly protocol: CallProtocol;
  readonly clientAddress: string;
  readonly fromTrustedProxy: boolean;
  readonly startedAt: number;
  route = "";
  candidates: readonly Candidate[] = NO_CANDIDATES;
  /** The Fetch view of the answer, while a plugin holds one. */
  view: ResponseView | undefined;
  readonly #random: Random;
  #response: ExchangeResponse | undefined;
  #requestId: string | undefined;
  #cancelReason: SluiceError | undefined;
  #listeners: (CancelListener | undefined)[] | undefined;
  #controller: AbortController | undefined;
  #context: Map<ContextKey<unknown>, unknown> | undefined;
  #superseded: Body[] | undefined;

  /**
   * @param path in normal form.
   * @param search the query with its `?`, or "".
   * @param startedAt `clock.monotonic()`.
   */
  constructor(
    inbound: Inbound,
    path: string,
    search: string,
    client: ClientAddress,
    startedAt: number,
    random: Random,
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
    };
    this.request = {
      method,
      rawTarget: inbound.rawTarget,
      scheme: inbound.scheme,
      authority: inbound.authority,
      path,
      search,
      headers,
      body: body === null ? null : new RequestBody(body, this.record),
    };
    this.protocol = callProtocolOf(method, headers, search);
    this.clientAddress = client.address;
    this.fromTrustedProxy = client.fromTrustedProxy;
    this.startedAt = startedAt;
    this.#random = random;
  }

  get connection(): ConnectionFacts {
    return this.inbound.connection;
  }

  get httpVersion(): HttpVersion {
    return this.inbound.httpVersion;
  }

  get response(): ExchangeResponse | undefined {
    this.view?.settle();
    return this.#response;
  }

  set response(next: ExchangeResponse | undefined) {
    const before = this.#response;
    if (before !== undefined && before.source === "upstream" && before.body !== null) {
      if (before.body !== next?.body) (this.#superseded ??= []).push(before.body);
    }
    this.view = undefined;
    this.#response = next;
  }

  /** The answer as it stands, without a look at what a plugin may have changed in its Fetch view. */
  get answer(): ExchangeResponse | undefined {
    return this.#response;
  }

  get requestId(): string {
    this.#requestId ??= this.#random.uuid();
    return this.#requestId;
  }

  set requestId(id: string) {
    this.#requestId = id;
  }

  get cancelled(): boolean {
    return this.#cancelReason !== undefined;
  }

  /** Why the request was cancelled. */
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
      while (listeners.length > 0 && listeners.at(-1) === undefined) listeners.pop();
    };
  }

  cancel(reason: SluiceError): void {
    if (this.#cancelReason !== undefined) return;
    this.#cancelReason = reason;
    this.cancelSince(0, reason);
    this.#controller?.abort(reason);
  }

  /** A mark for {@link cancelSince}. */
  get cancelMark(): number {
    return this.#listeners?.length ?? 0;
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
        listener?.(reason);
      } catch {
        // A listener of a plugin; the others must hear of it all the same.
      }
    }
  }

  get<T>(key: ContextKey<T>): T {
    const context = this.#context;
    return context !== undefined && context.has(key) ? (context.get(key) as T) : key.initial;
  }

  set<T>(key: ContextKey<T>, value: T): void {
    (this.#context ??= new Map()).set(key, value);
  }

  /** Lets go of upstream answers that others took the place of: their connections are held until then. */
  release(): void {
    if (this.#superseded === undefined) return;
    for (const body of this.#superseded) body.cancel();
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
    const copy = new HttpExchange(inbound, path, search, client, this.startedAt, this.#random);
    copy.route = this.route;
    copy.requestId = this.requestId;
    if (this.#context !== undefined) copy.#context = new Map(this.#context);
    if (this.#response !== undefined)
      copy.#response = { ...this.#response, headers: this.#response.headers.copy(), body: null };
    copy.cancel(reason);
    return copy;
  }
}

function ignore(): void {}
