import { type Body, type Candidate, type Clock, type Log, SluiceError } from "sluice/plugin";
import type { UpgradeOffer } from "../listener/inbound.ts";
import { createDeadlineSweep } from "../pipeline/deadline-sweep.ts";
import type { GatewayExchange, Observer } from "../pipeline/types.ts";
import { isIdempotent, type Upstream, type UpstreamAnswer } from "../upstream/index.ts";
import { AnswerBody } from "./answer-body.ts";
import { Attempt, deadlinePassed } from "./attempt.ts";
import { formatGrpcTimeout, parseGrpcTimeout } from "./grpc-timeout.ts";
import { createHeaderRules } from "./header-rules.ts";
import { answerOfLastHop } from "./max-forwards.ts";
import { CountedBody } from "./counted-body.ts";

export interface ForwarderOptions {
  readonly upstreams: { get(name: string): Upstream | undefined };
  readonly observer: Pick<Observer, "tried">;
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
   * can be sent from its first byte. Headers and body are never gathered; the answer of an earlier run is dropped.
   *
   * A request that `Max-Forwards` lets go no further is answered here (RFC 9110 §7.6.2).
   *
   * `x.request` is expected in normal form and admitted (`normalizeTarget`, `admitRequestHeaders`).
   * @throws SluiceError the last candidate's failure; `bad_request` for a malformed `grpc-timeout`.
   */
  forward(x: GatewayExchange): Promise<void>;
}

/** What a failed candidate leaves behind. */
interface Failure {
  readonly error: SluiceError;
  /** Whether another may be asked. */
  readonly movesOn: boolean;
}

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { upstreams, observer, clock, log } = options;
  const rules = createHeaderRules(options.pseudonym);
  const sweep = createDeadlineSweep(clock);

  async function forward(x: GatewayExchange): Promise<void> {
    const lastHop = answerOfLastHop(x.request);
    x.response = lastHop;
    if (lastHop !== undefined) return;
    const deadline = deadlineOf(x);
    const { candidates } = x;
    let failure: Failure | undefined;
    let lastBody: Body | null = null;
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[i]!;
      if (failure !== undefined) reportMove(x, candidates[i - 1]!, failure.error);
      const failed = await tryOne(x, candidate, deadline, lastBody);
      if (failed === undefined) return;
      // The body is gone: what the candidate before said is what is wrong.
      if (failed === "no body") break;
      failure = failed;
      if (!failure.movesOn || x.cancelled) break;
      lastBody = x.request.body;
    }
    throw failure?.error ?? noCandidate();
  }

  /** @param lastBody the body that the try before may have read. */
  async function tryOne(
    x: GatewayExchange,
    candidate: Candidate,
    deadline: number,
    lastBody: Body | null,
  ): Promise<Failure | "no body" | undefined> {
    if (candidate.prepare !== undefined) {
      try {
        await candidate.prepare(x);
      } catch (error) {
        return { error: SluiceError.from(error, "plugin_failed"), movesOn: true };
      }
    }
    const body = x.request.body;
    if (lastBody !== null && body === lastBody && body.rewind?.() !== true) return "no body";

    const asked = await ask(x, candidate.upstream, deadline);
    if (asked !== undefined || candidate.accept === undefined) return asked;
    try {
      await candidate.accept(x, x.response!);
      return undefined;
    } catch (error) {
      x.response?.body?.cancel();
      x.response = undefined;
      return { error: SluiceError.from(error, "plugin_failed"), movesOn: true };
    }
  }

  async function ask(x: GatewayExchange, name: string, deadline: number): Promise<Failure | undefined> {
    const { record } = x;
    const upstream = upstreams.get(name);
    if (upstream === undefined) return { error: unknownUpstream(), movesOn: true };
    const begun = clock.monotonic();
    if (begun >= deadline) return { error: deadlinePassed(), movesOn: false };

    let attempt: Attempt | undefined;
    let asked = "";
    let answer: UpstreamAnswer;
    try {
      const target = upstream.pick();
      record.upstream = name;
      record.target = asked = target.url;
      record.attempts++;
      record.upstreamStatus = 0;
      const limit = begun + (upstream.config.timeouts.request ?? Number.POSITIVE_INFINITY);
      const upgrade = upstream.config.protocol === "http1" ? upgradeOf(x) : undefined;
      attempt = new Attempt(x, {
        upstream: upstream.config,
        target,
        rules,
        upgrade,
        headers: rules.request(
          x,
          deadline === Number.POSITIVE_INFINITY ? undefined : formatGrpcTimeout(deadline - begun),
          upgrade?.protocol,
        ),
        sweep,
        expiresAt: Math.min(deadline, limit),
        callerDeadline: deadline <= limit,
      });
      answer = await target.transport.request(attempt);
    } catch (thrown) {
      const waited = clock.monotonic() - begun;
      record.upstreamWait += waited;
      attempt?.finish();
      const error = attempt?.overdue ?? SluiceError.from(thrown, "upstream_failed");
      observer.tried(name, asked, 0, error.reason, waited / 1000);
      const safe = attempt === undefined || !attempt.sent || isIdempotent(x.request.method);
      // With code `client_closed`, nobody waits for an answer any more.
      const wanted = error.code !== "client_closed" && error.reason !== "timeout.deadline";
      return { error, movesOn: safe && wanted };
    }
    const waited = clock.monotonic() - begun;
    record.upstreamWait += waited;

    const { status, headers } = answer;
    record.upstreamStatus = status;
    observer.tried(name, asked, status, undefined, waited / 1000);
    if (status === 101) attempt.switched();
    rules.response(status, headers, upstream.config.protocol === "http1" ? "1.1" : "2");
    let body: AnswerBody | null = null;
    if (answer.body === null) attempt.finish();
    else body = attempt.answer = new AnswerBody(answer.body, attempt, x.protocol === "grpc");
    x.response = { status, headers, body, source: "upstream" };
    return undefined;
  }

  function reportMove(x: GatewayExchange, from: Candidate, error: SluiceError): void {
    log.warn(
      { request_id: x.requestId, route: x.route, upstream: from.upstream, reason: error.reason, err: error },
      "a candidate failed; the next one is tried",
    );
  }

  return { forward };
}

/** The client's offer to go on in another protocol, as the steps have left it; its bytes are counted. */
function upgradeOf(x: GatewayExchange): UpgradeOffer | undefined {
  const offer = x.inbound.upgrade;
  if (offer === undefined) return undefined;
  const protocol = x.request.headers.get("upgrade");
  return protocol === undefined ? undefined : { protocol, body: new CountedBody(offer.body, x.record) };
}

/** Monotonic milliseconds by which a gRPC caller wants its answer; `Infinity` for none. */
function deadlineOf(x: GatewayExchange): number {
  const value = x.protocol === "grpc" ? x.request.headers.get("grpc-timeout") : undefined;
  if (value === undefined) return Number.POSITIVE_INFINITY;
  const milliseconds = parseGrpcTimeout(value);
  if (milliseconds === undefined) {
    throw new SluiceError("bad_request", "The grpc-timeout header is malformed.", { reason: "grpc_timeout" });
  }
  return x.startedAt + milliseconds;
}

function noCandidate(): SluiceError {
  return new SluiceError("plugin_failed", "No upstream was chosen for this request.", {
    reason: "no_candidate",
  });
}

function unknownUpstream(): SluiceError {
  return new SluiceError("plugin_failed", "An upstream was chosen that does not exist.", {
    reason: "unknown_upstream",
  });
}
