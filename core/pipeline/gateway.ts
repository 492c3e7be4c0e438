import {
  BytesBody,
  type Clock,
  ERROR_CODES,
  type ExchangeResponse,
  HeaderList,
  type Random,
  SluiceError,
} from "sluice/plugin";
import type { Limits } from "../../config/types.ts";
import { admitRequestHeaders } from "../forward/admit.ts";
import type { GatewayHandler, Inbound, Rejection, Sent } from "../listener/inbound.ts";
import { malformedTimeout } from "./call-deadline.ts";
import { clientAddress } from "./client-address.ts";
import { CuttableBody } from "./cuttable-body.ts";
import { createDeadlineSweep, type DeadlineSweep } from "./deadline-sweep.ts";
import { errorResponse, rejectionMessage } from "./error-response.ts";
import { HttpExchange } from "./exchange.ts";
import { Flight, type FlightDeck } from "./flight.ts";
import type { Generation, Probes } from "./generation.ts";
import { type NormalTarget, normalizeTarget } from "./path.ts";
import { answerProbe } from "./probe.ts";
import { isBodyless } from "./response-view.ts";
import { toCallProtocol } from "./to-call-protocol.ts";
import { proxyStatus } from "./proxy-status.ts";
import type { Observer, ReadyRoute } from "./types.ts";

export interface GatewayDeps {
  /** The generation that new requests go to. */
  readonly current: () => Generation;
  /** Whether the readiness probe answers 200 to the checker of that address. */
  readonly ready: (checker: string) => boolean;
  readonly observer: Pick<Observer, "started" | "finished" | "rejected" | "strayFailure">;
  readonly clock: Pick<Clock, "monotonic" | "setTimeout" | "setInterval">;
  readonly random: Random;
  /** Names this instance in `Proxy-Status`, as in `Via`; a token. */
  readonly pseudonym: string;
}

/** What the gateway must know of a listener. */
export interface ListenerFacts {
  readonly probes: Probes;
  readonly limits: Pick<Limits, "bufferedBody">;
}

export interface Gateway extends GatewayHandler {
  /** The handler of one listener: its probes and limits are looked up at each request. */
  forListener(listener: () => ListenerFacts): GatewayHandler;
  /** Requests under way. */
  readonly active: number;
  /** Requests begun since the start. */
  readonly begun: number;
  /** Resolves when no request is under way. */
  idle(): Promise<void>;
  /** Cancels every request under way; what has no answer yet is answered with `reason`. Answers how many. */
  cutAll(reason: SluiceError): number;
}

/** The way of a request: normal form, client address, route, pipeline, answer, bookkeeping. */
export function createGateway(deps: GatewayDeps): Gateway {
  return new HttpGateway(deps);
}

class HttpGateway implements Gateway, FlightDeck {
  readonly clock: GatewayDeps["clock"];
  readonly observer: GatewayDeps["observer"];
  readonly #deps: GatewayDeps;
  /** Of the callers' deadlines. */
  readonly #sweep: DeadlineSweep;
  readonly #flights = new Set<Flight>();
  #whenIdle: (() => void)[] = [];
  #begun = 0;

  constructor(deps: GatewayDeps) {
    this.clock = deps.clock;
    this.observer = deps.observer;
    this.#deps = deps;
    this.#sweep = createDeadlineSweep(deps.clock);
  }

  get begun(): number {
    return this.#begun;
  }

  get active(): number {
    return this.#flights.size;
  }

  forListener(listener: () => ListenerFacts): GatewayHandler {
    return {
      handle: (inbound) => this.#handle(inbound, listener()),
      rejected: (rejection) => this.rejected(rejection),
    };
  }

  handle(inbound: Inbound): void {
    this.#handle(inbound, undefined);
  }

  rejected(rejection: Rejection): { readonly headers: HeaderList; readonly body: Uint8Array } {
    const requestId = this.#deps.random.uuid();
    this.observer.rejected(rejection, requestId);
    const message = rejectionMessage(rejection, requestId);
    message.headers.append("proxy-status", proxyStatus(this.#deps.pseudonym, rejection));
    return message;
  }

  idle(): Promise<void> {
    if (this.#flights.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  cutAll(reason: SluiceError): number {
    const flights = [...this.#flights];
    for (const flight of flights) this.cut(flight, reason);
    return flights.length;
  }

  cut(flight: Flight, reason: SluiceError): void {
    flight.exchange.cancel(reason);
    this.#answer(flight);
  }

  #handle(inbound: Inbound, listener: ListenerFacts | undefined): void {
    const startedAt = this.clock.monotonic();
    const target = normalizeTarget(inbound.rawTarget, inbound.method);
    if (target !== undefined && listener !== undefined) {
      if (answerProbe(inbound, target.path, listener.probes, this.#deps.ready)) return;
    }
    const generation = this.#deps.current();
    const client = clientAddress(inbound.connection, inbound.headers, generation.trusts);
    const { path, search } = target ?? { path: "", search: "" };
    const buffered = listener?.limits.bufferedBody;
    const exchange = new HttpExchange(inbound, path, search, client, startedAt, this.#deps, buffered);
    const flight = new Flight(exchange, generation, this);
    if (exchange.deadline < Number.POSITIVE_INFINITY) this.#sweep.add(flight);
    this.#flights.add(flight);
    this.#begun++;
    inbound.onGone = (error) => exchange.cancel(error);
    this.observer.started(exchange);
    this.#serve(flight, target);
  }

  /** Does not throw. What need not wait does not: most requests wait once, for the upstream. */
  #serve(flight: Flight, target: NormalTarget | undefined): void {
    let running: Promise<void> | undefined;
    try {
      const route = this.#routeOf(flight, target);
      running = route?.run(flight.exchange);
    } catch (thrown) {
      this.#answer(flight, SluiceError.from(thrown));
      return;
    }
    if (running === undefined) this.#served(flight);
    else this.#serveLater(flight, running);
  }

  #serveLater(flight: Flight, running: Promise<void>): void {
    running.then(
      () => this.#served(flight),
      (thrown) => this.#answer(flight, SluiceError.from(thrown)),
    );
  }

  #served(flight: Flight): void {
    if (flight.exchange.answer !== undefined) this.#answer(flight);
    else this.#answer(flight, SluiceError.from(new Error("the pipeline came to its end without an answer")));
  }

  /** Undefined where the gateway has answered the request itself. @throws SluiceError where it is refused. */
  #routeOf(flight: Flight, target: NormalTarget | undefined): ReadyRoute | undefined {
    const { exchange, generation } = flight;
    const { request } = exchange;
    if (target === undefined) throw badTarget(request.method);
    if (Number.isNaN(exchange.deadline)) throw malformedTimeout(exchange.protocol);
    admitRequestHeaders(request.headers, exchange.fromTrustedProxy, exchange.inbound.upgrade?.protocol);
    if (target.path === "*") {
      // RFC 9110 §9.3.7: it asks for the server itself, so that no route has a part in it.
      exchange.response = { status: 200, headers: new HeaderList(), body: null, source: "gateway" };
      return undefined;
    }
    const { method, headers, authority: host } = request;
    const route = generation.match({ host, path: target.path, method, headers, search: target.search });
    if (route === undefined)
      throw new SluiceError("not_found", ERROR_CODES.not_found.meaning, { reason: "no_route" });
    flight.route = route;
    exchange.route = route.config.name;
    return route;
  }

  /**
   * Does not throw: whatever happens, the request is over afterwards.
   * @param error that takes the place of an answer.
   */
  #answer(flight: Flight, error?: SluiceError): void {
    if (flight.answering) return;
    flight.answering = true;
    let sent: Sent | Promise<Sent>;
    try {
      sent = this.#decide(flight, error) ?? this.#send(flight);
    } catch (thrown) {
      sent = this.#sendInstead(flight, thrown);
    }
    if (sent instanceof Promise) this.#overLater(flight, sent);
    else this.#over(flight, sent);
  }

  // Apart: a function that makes closures makes a scope for them whenever it is called.
  #overLater(flight: Flight, sent: Promise<Sent>): void {
    sent.then(
      (done) => this.#over(flight, noted(flight, done)),
      (thrown) => this.#over(flight, unsent(flight, thrown)),
    );
  }

  /** An answer that cannot be worked with, such as a frozen one: the client must not wait for ever. Does not throw. */
  #sendInstead(flight: Flight, thrown: unknown): Sent | Promise<Sent> {
    try {
      fail(flight, SluiceError.from(thrown, "plugin_failed", "answer"));
      return this.#send(flight);
    } catch (again) {
      return unsent(flight, again);
    }
  }

  /** Settles what the answer is. Answers the sending where that has to wait for something. */
  #decide(flight: Flight, error: SluiceError | undefined): Promise<Sent> | undefined {
    const { exchange } = flight;
    if (error !== undefined) fail(flight, error);
    const { cancelReason } = exchange;
    // Cancelled for another reason than that nobody is there to answer: that is the outcome. A step that is still at work
    // has not answered yet.
    if (exchange.answer === undefined)
      fail(flight, cancelReason ?? new SluiceError("internal", "No answer was made."));
    else if (
      cancelReason !== undefined &&
      cancelReason.code !== "client_closed" &&
      cancelReason !== exchange.record.failure
    )
      fail(flight, cancelReason);
    // Nobody will send the request's body any more: an answer may be made of it, however long it is.
    exchange.departed = true;
    const converting = toCallProtocol(exchange, this.clock);
    return converting === undefined ? undefined : this.#sendAfter(flight, converting);
  }

  async #sendAfter(flight: Flight, converting: Promise<void>): Promise<Sent> {
    try {
      await converting;
    } catch (thrown) {
      fail(flight, SluiceError.from(thrown));
    }
    try {
      return await this.#send(flight);
    } catch (thrown) {
      return this.#sendInstead(flight, thrown);
    }
  }

  #send(flight: Flight): Sent | Promise<Sent> {
    const { exchange } = flight;
    const unsendable = unsendableStatus(exchange);
    if (unsendable !== undefined) fail(flight, unsendable);
    const response = exchange.answer!;
    const { failure } = exchange.record;
    // Whoever sends what is malformed may have meant something else by what follows (RFC 9112 §9.6).
    if (failure?.code === "bad_request" && exchange.route === "" && exchange.httpVersion !== "2")
      response.headers.append("connection", "close");
    if (failure !== undefined && response.source === "gateway")
      response.headers.append("proxy-status", proxyStatus(this.#deps.pseudonym, failure));
    if (response.body !== null) {
      const body = bodyToSend(exchange);
      if (body !== response.body) response.body = body;
    }
    flight.leaves(response);
    const sent = exchange.inbound.respond(response.status, response.headers, response.body);
    return sent instanceof Promise ? sent : noted(flight, sent);
  }

  /** Does not throw. */
  #over(flight: Flight, sent: Sent): void {
    this.#flights.delete(flight);
    if (flight.exchange.deadline < Number.POSITIVE_INFINITY) this.#sweep.remove(flight);
    try {
      flight.over(sent);
    } catch (thrown) {
      this.observer.strayFailure(undefined, thrown, flight.exchange);
    } finally {
      if (this.#flights.size === 0) {
        const waiting = this.#whenIdle;
        this.#whenIdle = [];
        for (const resolve of waiting) resolve();
      }
    }
  }
}

/** An answer that failed before anything of it was sent. */
function unsent({ exchange }: Flight, thrown: unknown): Sent {
  exchange.record.failure ??= SluiceError.from(thrown);
  return { bytes: 0, complete: false, firstByteAt: 0, error: thrown };
}

/** Notes why an answer was not sent to its end, where it was not. */
function noted({ exchange, left }: Flight, sent: Sent): Sent {
  if (!sent.complete) exchange.record.failure ??= brokenOff(exchange, left, sent.error);
  return sent;
}

/**
 * Why an answer was not sent to its end. A message of an upstream breaks off with an error of ours; any other is a
 * plugin's, whose stream it was or who worked on it.
 */
function brokenOff(
  { cancelReason }: HttpExchange,
  left: ExchangeResponse | undefined,
  error: unknown,
): SluiceError {
  if (error instanceof SluiceError) return error;
  if (cancelReason !== undefined) return cancelReason;
  if (error === undefined && left?.source === "upstream")
    return SluiceError.from(error, "upstream_failed", "reset");
  return SluiceError.from(error, "plugin_failed", "response_body");
}

/** The request's outcome is this error. */
function fail({ exchange, route }: Flight, error: SluiceError): void {
  exchange.response = route?.formatError(exchange, error) ?? errorResponse(exchange, error);
  exchange.record.failure = error;
}

/** What a status that cannot be sent comes to: a step may have assigned any number, and an upstream may have sent it. */
function unsendableStatus(exchange: HttpExchange): SluiceError | undefined {
  const { status, source } = exchange.answer!;
  // RFC 9113 §8.3.2 has three digits as RFC 9110 §15 has; the HTTP/2 server takes none above 599.
  const most = exchange.httpVersion === "2" ? 599 : 999;
  if (Number.isInteger(status) && status >= 200 && status <= most) return undefined;
  if (status === 101 && source === "upstream" && exchange.inbound.upgrade !== undefined) return undefined;
  const upstreams = source === "upstream" && exchange.record.upstreamStatus === status;
  const cause = new Error(`${status} is not a status that can be sent`);
  return upstreams
    ? new SluiceError("upstream_failed", ERROR_CODES.upstream_failed.meaning, { reason: "protocol", cause })
    : new SluiceError("plugin_failed", ERROR_CODES.plugin_failed.meaning, { reason: "status", cause });
}

/** The answer's body, as far as the message may have one. */
function bodyToSend(exchange: HttpExchange): HttpExchange["request"]["body"] {
  const { status, headers, body, source } = exchange.answer!;
  if (body === null) return null;
  const isHead = exchange.request.method === "HEAD";
  if (isHead || (isBodyless(status) && status !== 101)) {
    // RFC 9110 §9.3.2: the answer to HEAD says how long the body would have been.
    if (isHead && body.length !== undefined && !headers.has("content-length"))
      headers.append("content-length", String(body.length));
    body.cancel();
    return null;
  }
  if (source === "upstream" || body instanceof BytesBody) return body;
  // An answer that tells why the request was cut must not be cut for it.
  const { cancelReason } = exchange;
  if (cancelReason !== undefined && cancelReason === exchange.record.failure) return body;
  return new CuttableBody(body, exchange);
}

function badTarget(method: string): SluiceError {
  if (method === "CONNECT")
    return new SluiceError("not_implemented", "CONNECT is not served here.", { reason: "connect" });
  return new SluiceError("bad_request", "The request target is malformed.", { reason: "target" });
}
