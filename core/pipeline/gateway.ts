import { BytesBody, type Clock, ERROR_CODES, HeaderList, type Random, SluiceError } from "sluice/plugin";
import { admitRequestHeaders } from "../forward/admit.ts";
import type { GatewayHandler, Inbound, Rejection } from "../listener/inbound.ts";
import { clientAddress } from "./client-address.ts";
import { CuttableBody } from "./cuttable-body.ts";
import { errorResponse, rejectionMessage } from "./error-response.ts";
import { HttpExchange } from "./exchange.ts";
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
  /** Whether the readiness probe answers 200. */
  readonly ready: () => boolean;
  readonly observer: Pick<Observer, "started" | "finished" | "rejected">;
  readonly clock: Pick<Clock, "monotonic">;
  readonly random: Random;
  /** Names this instance in `Proxy-Status`, as in `Via`; a token. */
  readonly pseudonym: string;
  /** Requests at a time; one above it is answered 503. @default no limit */
  readonly maxActive?: number;
}

export interface Gateway extends GatewayHandler {
  /** The handler of one listener, which answers that listener's probes; they are looked up at each request. */
  forListener(probes: () => Probes): GatewayHandler;
  /** Requests under way. */
  readonly active: number;
  /** Resolves when no request is under way. */
  idle(): Promise<void>;
  /** Cancels every request under way; what has no answer yet is answered with `reason`. Answers how many. */
  cutAll(reason: SluiceError): number;
}

/** One request under way. */
interface Flight {
  readonly exchange: HttpExchange;
  readonly generation: Generation;
  route: ReadyRoute | undefined;
  /** The answer is on its way out: what the pipeline still does has no effect on it. */
  answering: boolean;
}

/** The way of a request: normal form, client address, route, pipeline, answer, bookkeeping. */
export function createGateway(deps: GatewayDeps): Gateway {
  return new HttpGateway(deps);
}

class HttpGateway implements Gateway {
  readonly #deps: GatewayDeps;
  readonly #maxActive: number;
  readonly #flights = new Set<Flight>();
  #whenIdle: (() => void)[] = [];

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
    this.#maxActive = deps.maxActive ?? Number.POSITIVE_INFINITY;
  }

  get active(): number {
    return this.#flights.size;
  }

  forListener(probes: () => Probes): GatewayHandler {
    return {
      handle: (inbound) => this.#handle(inbound, probes()),
      rejected: (rejection) => this.rejected(rejection),
    };
  }

  handle(inbound: Inbound): void {
    this.#handle(inbound, undefined);
  }

  rejected(rejection: Rejection): { readonly headers: HeaderList; readonly body: Uint8Array } {
    const requestId = this.#deps.random.uuid();
    this.#deps.observer.rejected(rejection, requestId);
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
    for (const flight of flights) {
      flight.exchange.cancel(reason);
      void this.#answer(flight);
    }
    return flights.length;
  }

  #handle(inbound: Inbound, probes: Probes | undefined): void {
    const startedAt = this.#deps.clock.monotonic();
    const target = normalizeTarget(inbound.rawTarget, inbound.method);
    if (target !== undefined && probes !== undefined) {
      if (answerProbe(inbound, target.path, probes, this.#deps.ready)) return;
    }
    const generation = this.#deps.current();
    const client = clientAddress(inbound.connection, inbound.headers, generation.trusts);
    const { path, search } = target ?? { path: "", search: "" };
    const exchange = new HttpExchange(inbound, path, search, client, startedAt, this.#deps.random);
    const flight: Flight = { exchange, generation, route: undefined, answering: false };
    generation.retain();
    this.#flights.add(flight);
    inbound.onGone = (error) => exchange.cancel(error);
    this.#deps.observer.started(exchange);
    // It does not reject.
    void this.#serve(flight, target);
  }

  async #serve(flight: Flight, target: NormalTarget | undefined): Promise<void> {
    const { exchange } = flight;
    try {
      const route = this.#routeOf(flight, target);
      if (route !== undefined) await route.run(exchange);
      if (exchange.answer === undefined) throw new Error("the pipeline came to its end without an answer");
    } catch (thrown) {
      if (!flight.answering) fail(flight, SluiceError.from(thrown));
    }
    await this.#answer(flight);
  }

  /** Undefined where the gateway has answered the request itself. @throws SluiceError where it is refused. */
  #routeOf(flight: Flight, target: NormalTarget | undefined): ReadyRoute | undefined {
    const { exchange, generation } = flight;
    const { request } = exchange;
    if (target === undefined) throw badTarget(request.method);
    if (this.#flights.size > this.#maxActive) throw overloaded();
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

  async #answer(flight: Flight): Promise<void> {
    if (flight.answering) return;
    flight.answering = true;
    const { exchange } = flight;
    const { cancelReason } = exchange;
    // Cancelled for another reason than that nobody is there to answer: that is the outcome.
    if (
      cancelReason !== undefined &&
      cancelReason.code !== "client_closed" &&
      cancelReason !== exchange.record.failure
    )
      fail(flight, cancelReason);
    try {
      const converted = toCallProtocol(exchange);
      if (converted !== undefined) await converted;
    } catch (thrown) {
      fail(flight, SluiceError.from(thrown));
    }
    const response = exchange.answer!;
    const { failure } = exchange.record;
    if (failure !== undefined && response.source === "gateway")
      response.headers.append("proxy-status", proxyStatus(this.#deps.pseudonym, failure));
    if (response.body !== null) response.body = bodyToSend(exchange);
    const sent = await exchange.inbound.respond(response.status, response.headers, response.body);
    this.#flights.delete(flight);
    exchange.release();
    this.#deps.observer.finished(exchange, sent);
    flight.generation.release();
    if (this.#flights.size > 0) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }
}

/** The request's outcome is this error. */
function fail({ exchange, route }: Flight, error: SluiceError): void {
  exchange.response = route?.formatError(exchange, error) ?? errorResponse(exchange, error);
  exchange.record.failure = error;
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
  return source === "upstream" || body instanceof BytesBody ? body : new CuttableBody(body, exchange);
}

function badTarget(method: string): SluiceError {
  if (method === "CONNECT")
    return new SluiceError("not_implemented", "CONNECT is not served here.", { reason: "connect" });
  return new SluiceError("bad_request", "The request target is malformed.", { reason: "target" });
}

function overloaded(): SluiceError {
  return new SluiceError("unavailable", "Too many requests are under way.", {
    reason: "overflow",
    headers: [["retry-after", "1"]],
  });
}
