import {
  type Body,
  BytesBody,
  type Candidate,
  type Clock,
  ERROR_CODES,
  type Log,
  SluiceError,
} from "sluice/plugin";
import { isGrpcType } from "../http2/grpc-type.ts";
import type { UpgradeOffer } from "../listener/inbound.ts";
import { deadlinePassed } from "../pipeline/call-deadline.ts";
import { createDeadlineSweep } from "../pipeline/deadline-sweep.ts";
import type { GatewayExchange, Observer } from "../pipeline/types.ts";
import { isIdempotent, type Upstream, type UpstreamAnswer } from "../upstream/index.ts";
import { AnswerBody } from "./answer-body.ts";
import { Attempt } from "./attempt.ts";
import { type CandidateFailure, runCandidate } from "./candidate-call.ts";
import { createHeaderRules } from "./header-rules.ts";
import { answerOfLastHop } from "./max-forwards.ts";
import { CountedBody } from "./counted-body.ts";
import { RequestState } from "./request-state.ts";
import { sendTimeout } from "./send-timeout.ts";

export interface ForwarderOptions {
  readonly upstreams: { get(name: string): Upstream | undefined };
  readonly observer: Pick<Observer, "tried" | "stepFinished">;
  readonly clock: Clock;
  /** Names this instance in `Via`; a token, unique among the proxies that a request may pass. */
  readonly pseudonym: string;
  readonly log: Log;
}

export interface Forwarder {
  /**
   * Tries the exchange's candidates in order until one answers, and sets `x.response` to the answer, whose body
   * goes on streaming. A candidate that fails is followed by the next one only where that is safe: nothing of the
   * request was sent or its method is idempotent (RFC 9110 §9.2.2), or `accept` refused the answer, and the body
   * can be sent from its first byte. Each begins with the request as the steps left it, and so does who looks at it
   * afterwards. Headers and body are never gathered; the answer of an earlier run is dropped.
   *
   * A request that `Max-Forwards` lets go no further is answered here (RFC 9110 §7.6.2).
   *
   * `x.request` is expected in normal form and admitted (`normalizeTarget`, `admitRequestHeaders`).
   * @throws SluiceError (or rejects with it) the last candidate's failure.
   */
  forward(x: GatewayExchange): Promise<void> | undefined;
}

/** What a failed candidate leaves behind. */
interface Failure {
  readonly error: SluiceError;
  /** Whether another may be asked. */
  readonly movesOn: boolean;
  /** The step whose plugin failed, where one did. */
  readonly step?: string | undefined;
}

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { upstreams, observer, clock, log } = options;
  const rules = createHeaderRules(options.pseudonym);
  const sweep = createDeadlineSweep(clock);
  const deps = { clock, sweep, observer };
  const shared = { rules, sweep };

  function forward(x: GatewayExchange): Promise<void> | undefined {
    const { request, candidates } = x;
    const lastHop = answerOfLastHop(request);
    x.response = lastHop;
    if (lastHop !== undefined) return undefined;
    const only = candidates.length === 1 ? candidates[0]! : undefined;
    if (only !== undefined && only.prepare === undefined && only.accept === undefined) {
      const asked = ask(x, only.upstream);
      if (asked instanceof Promise) return asked.then(raise);
      throw asked.error;
    }
    return tryInTurn(x, candidates, new RequestState(request)).then((failure) => {
      if (failure?.step !== undefined) x.record.failedStep = failure.step;
      raise(failure);
    });
  }

  /** @param state with which each candidate begins. */
  async function tryInTurn(
    x: GatewayExchange,
    candidates: readonly Candidate[],
    state: RequestState,
  ): Promise<Failure | undefined> {
    const { request } = x;
    let failure: Failure | undefined;
    let before: Candidate | undefined;
    /** Bodies that a try has read. */
    const sent = new Set<Body>();
    for (const candidate of candidates) {
      if (before !== undefined && failure !== undefined) {
        reportMove(x, before, failure.error);
        // Between two tries a plugin's look at the body is kept again.
        x.departed = false;
        const { body } = state;
        const whole = body === null || (body.rewind?.() ?? !sent.has(body));
        if (!whole) request.body = GONE;
      }
      const failed = await tryOne(x, candidate, sent);
      state.restore(request);
      if (failed === undefined) return undefined;
      // The body is gone: what the candidate before said is what is wrong.
      if (failed === "no body") break;
      failure = failed;
      if (!failure.movesOn || x.cancelled) break;
      before = candidate;
    }
    return failure ?? noCandidate();
  }

  async function tryOne(
    x: GatewayExchange,
    candidate: Candidate,
    sent: Set<Body>,
  ): Promise<Failure | "no body" | undefined> {
    const { request } = x;
    if (candidate.prepare !== undefined) {
      const failed = await runCandidate(x, () => candidate.prepare?.(x), deps);
      if (failed !== undefined) return afterCandidate(x, failed);
    }
    const { body } = request;
    if (body === GONE) return "no body";
    if (body !== null) {
      // A plugin that prepared it may have read it, or gives every candidate the same.
      if (sent.has(body) && body.rewind?.() !== true) return "no body";
      sent.add(body);
    }

    const asked = await ask(x, candidate.upstream);
    if (asked !== undefined || candidate.accept === undefined) return asked;
    const answer = x.response!;
    const refused = await runCandidate(x, () => candidate.accept?.(x, answer), deps);
    if (refused === undefined) return undefined;
    x.response?.body?.cancel();
    x.response = undefined;
    return afterCandidate(x, refused);
  }

  /** Without `async`: each layer of it costs every request, and a failure at once is rare. */
  function ask(x: GatewayExchange, name: string): Promise<Failure | undefined> | Failure {
    const { record } = x;
    const upstream = upstreams.get(name);
    if (upstream === undefined) return { error: unknownUpstream(), movesOn: true };
    const begun = clock.monotonic();
    if (begun >= x.deadline) x.cancel(deadlinePassed(record));
    if (x.cancelReason !== undefined) return { error: x.cancelReason, movesOn: false };

    const { protocol, timeouts } = upstream.config;
    let attempt: Attempt | undefined;
    let asked = "";
    const failed = (thrown: unknown): Failure => {
      const waited = clock.monotonic() - begun;
      record.upstreamWait += waited;
      attempt?.finish();
      const error = attempt?.overdue ?? SluiceError.from(thrown, "upstream_failed");
      // A client that leaves, or whose body breaks a limit, is no failure of the upstream.
      observer.tried(name, asked, 0, error.owner === "upstream" ? error.reason : undefined, waited / 1000);
      const safe = attempt === undefined || !attempt.sent || isIdempotent(x.request.method);
      // With code `client_closed`, nobody waits for an answer any more.
      const wanted = error.code !== "client_closed" && error.reason !== "timeout.deadline";
      return { error, movesOn: safe && wanted };
    };
    try {
      const target = upstream.pick();
      record.upstream = name;
      record.target = asked = target.url;
      record.attempts++;
      record.upstreamStatus = 0;
      const expiresAt = begun + (timeouts.request ?? Number.POSITIVE_INFINITY);
      const overHttp1 = protocol === "http1";
      const upgrade = overHttp1 ? upgradeOf(x) : undefined;
      if (x.protocol === "grpc") x.inbound.bodyMayRest = !overHttp1;
      const headers = rules.request(x, upgrade?.protocol);
      if (x.protocol !== "http") sendTimeout(x, headers, begun);
      const made = (attempt = new Attempt(x, target, timeouts, headers, upgrade, expiresAt, shared));
      return target.transport.request(made).then((answer) => {
        const waited = clock.monotonic() - begun;
        record.upstreamWait += waited;
        record.upstreamStatus = answer.status;
        observer.tried(name, asked, answer.status, undefined, waited / 1000);
        take(x, made, answer, overHttp1 ? "1.1" : "2");
        return undefined;
      }, failed);
    } catch (thrown) {
      return failed(thrown);
    }
  }

  /** The upstream's answer becomes the exchange's. @throws SluiceError where gRPC cannot take it for one */
  function take(x: GatewayExchange, attempt: Attempt, answer: UpstreamAnswer, version: "1.1" | "2"): void {
    const { status, headers } = answer;
    if (status === 101) attempt.switched();
    rules.response(status, headers, version);
    let { body } = answer;
    const grpc = x.protocol === "grpc";
    const ends = grpc && status === 200 && isGrpcType(headers.get("content-type") ?? "");
    if (body === null && ends && !headers.has("grpc-status")) {
      attempt.finish();
      throw attempt.statusMissing();
    }
    // What came whole with its head is the upstream's no longer.
    if (body === null || body instanceof BytesBody) attempt.finish();
    else body = attempt.answer = new AnswerBody(body, attempt, grpc, ends);
    x.response = { status, headers, body, source: "upstream" };
  }

  function reportMove(x: GatewayExchange, from: Candidate, error: SluiceError): void {
    log.warn(
      { request_id: x.requestId, route: x.route, upstream: from.upstream, reason: error.reason, err: error },
      "a candidate failed; the next one is tried",
    );
  }

  return { forward };
}

function raise(failure: Failure | undefined): void {
  if (failure !== undefined) throw failure.error;
}

/** The client's offer to go on in another protocol, as the steps have left it; its bytes are counted. */
function upgradeOf(x: GatewayExchange): UpgradeOffer | undefined {
  const offer = x.inbound.upgrade;
  if (offer === undefined) return undefined;
  const protocol = x.request.headers.get("upgrade");
  return protocol === undefined ? undefined : { protocol, body: new CountedBody(offer.body, x.record) };
}

/** What stands in the place of a body that was sent and cannot be had again: it must not be sent in part. */
const GONE: Body = {
  length: undefined,
  trailers: undefined,
  read() {
    throw new SluiceError("plugin_failed", ERROR_CODES.plugin_failed.meaning, { reason: "body_not_kept" });
  },
  cancel() {},
};

/** A candidate's own code failed, or refused. */
function afterCandidate(x: GatewayExchange, { error, outcome }: CandidateFailure): Failure {
  const step = outcome === "ok" ? undefined : x.chosenBy?.config.key;
  // What hangs may wake up and change a request that is another candidate's by then.
  return { error, movesOn: outcome !== "timeout" && error.code !== "client_closed", step };
}

function noCandidate(): Failure {
  const error = new SluiceError("plugin_failed", "No upstream was chosen for this request.", {
    reason: "no_candidate",
  });
  return { error, movesOn: false };
}

function unknownUpstream(): SluiceError {
  return new SluiceError("plugin_failed", "An upstream was chosen that does not exist.", {
    reason: "unknown_upstream",
  });
}
