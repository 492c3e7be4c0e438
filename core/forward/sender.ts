import { type Body, BytesBody, type Clock, SluiceError } from "sluice/plugin";
import { isGrpcType } from "../http2/grpc-type.ts";
import type { UpgradeOffer } from "../listener/inbound.ts";
import type { DeadlineSweep } from "../pipeline/deadline-sweep.ts";
import type { GatewayExchange, Observer } from "../pipeline/types.ts";
import { isIdempotent, type Target, type Upstream, type UpstreamAnswer } from "../upstream/index.ts";
import { AnswerBody } from "./answer-body.ts";
import { Attempt, type AttemptLimits } from "./attempt.ts";
import { CountedBody } from "./counted-body.ts";
import type { HeaderRules } from "./header-rules.ts";
import { sendTimeout } from "./send-timeout.ts";

/** What a failed candidate leaves behind. */
export interface Failure {
  readonly error: SluiceError;
  /** Whether another may be asked. */
  readonly movesOn: boolean;
  /** The step whose plugin failed, where one did. */
  readonly step?: string | undefined;
}

export interface SenderDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly observer: Pick<Observer, "tried">;
  readonly rules: HeaderRules;
  readonly sweep: DeadlineSweep;
}

/** Makes single attempts of exchanges, and notes what became of them. */
export class Sender {
  readonly #deps: SenderDeps;

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  /** @throws SluiceError where the request may not be sent */
  attempt(
    x: GatewayExchange,
    upstream: Upstream,
    target: Target,
    now: number,
    limits: AttemptLimits,
    body: Body | null,
  ): Attempt {
    const { record } = x;
    const { config } = upstream;
    record.upstream = config.name;
    record.target = target.url;
    record.attempts++;
    record.upstreamStatus = 0;
    const overHttp1 = config.protocol === "http1";
    const upgrade = overHttp1 ? upgradeOf(x) : undefined;
    if (x.protocol === "grpc") x.inbound.bodyMayRest = !overHttp1;
    const headers = this.#deps.rules.request(x, upgrade?.protocol);
    if (x.protocol !== "http") sendTimeout(x, headers, now);
    return new Attempt(x, upstream, target, headers, body, upgrade, limits, this.#deps);
  }

  /** The answer's head is here. Answers how long that took, milliseconds. */
  answered(
    x: GatewayExchange,
    upstream: Upstream,
    attempt: Attempt,
    begun: number,
    answer: UpstreamAnswer,
  ): number {
    const { status, headers, body } = answer;
    const now = this.#deps.clock.monotonic();
    const waited = now - begun;
    x.record.upstreamStatus = status;
    this.#deps.observer.tried(upstream.config.name, attempt.to.url, status, undefined, waited / 1000);
    attempt.answered(status, headers, body !== null, now, waited);
    return waited;
  }

  /** The attempt, or choosing a target for it, came to nothing. */
  failed(
    x: GatewayExchange,
    upstream: Upstream,
    attempt: Attempt | undefined,
    begun: number,
    thrown: unknown,
  ): Failure {
    const error = attempt?.overdue ?? SluiceError.from(thrown, "upstream_failed");
    const now = this.#deps.clock.monotonic();
    const waited = now - begun;
    // A client that leaves, or whose body breaks a limit, is no failure of the upstream.
    const reason = error.owner === "upstream" ? error.reason : undefined;
    this.#deps.observer.tried(upstream.config.name, attempt?.to.url ?? "", 0, reason, waited / 1000);
    attempt?.failed(reason, now, waited);
    const safe = attempt === undefined || !attempt.sent || isIdempotent(x.request.method);
    // With code `client_closed`, nobody waits for an answer any more.
    const wanted = error.code !== "client_closed" && error.reason !== "timeout.deadline";
    return { error, movesOn: safe && wanted };
  }

  /** The upstream's answer becomes the exchange's. @throws SluiceError where gRPC cannot take it for one */
  take(x: GatewayExchange, upstream: Upstream, attempt: Attempt, answer: UpstreamAnswer): void {
    const { status, headers } = answer;
    if (status === 101) attempt.switched();
    this.#deps.rules.response(status, headers, upstream.config.protocol === "http1" ? "1.1" : "2");
    let { body } = answer;
    const grpc = x.protocol === "grpc";
    const ends = grpc && status === 200 && isGrpcType(headers.get("content-type") ?? "");
    if (body === null && ends && !headers.has("grpc-status")) {
      attempt.finish();
      throw attempt.statusMissing();
    }
    // What came whole with its head is the upstream's no longer.
    if (body === null) attempt.finish();
    else if (body instanceof BytesBody) attempt.ended(body.trailers);
    else body = attempt.answer = new AnswerBody(body, attempt, grpc, ends);
    x.response = { status, headers, body, source: "upstream" };
  }
}

/** The client's offer to go on in another protocol, as the steps have left it; its bytes are counted. */
function upgradeOf(x: GatewayExchange): UpgradeOffer | undefined {
  const offer = x.inbound.upgrade;
  if (offer === undefined) return undefined;
  const protocol = x.request.headers.get("upgrade");
  return protocol === undefined ? undefined : { protocol, body: new CountedBody(offer.body, x.record) };
}
