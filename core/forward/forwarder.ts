import {
  type Body,
  type Candidate,
  type Clock,
  ERROR_CODES,
  type Log,
  type Random,
  SluiceError,
} from "sluice/plugin";
import { deadlinePassed } from "../pipeline/call-deadline.ts";
import { createDeadlineSweep } from "../pipeline/deadline-sweep.ts";
import type { GatewayExchange, Observer } from "../pipeline/types.ts";
import { hashText } from "../upstream/balance/index.ts";
import { noTarget } from "../upstream/failures.ts";
import type { Upstream } from "../upstream/index.ts";
import type { Attempt } from "./attempt.ts";
import { type CandidateFailure, runCandidate } from "./candidate-call.ts";
import { createHeaderRules } from "./header-rules.ts";
import { answerOfLastHop } from "./max-forwards.ts";
import { makePlan, type Plan } from "./plan.ts";
import { RequestState } from "./request-state.ts";
import { type Failure, Sender } from "./sender.ts";
import { Tries } from "./tries.ts";

export interface ForwarderOptions {
  readonly upstreams: { get(name: string): Upstream | undefined };
  readonly observer: Pick<Observer, "tried" | "retried" | "stepFinished">;
  readonly clock: Clock;
  readonly random: Pick<Random, "next">;
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

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { upstreams, observer, clock, random, log } = options;
  const rules = createHeaderRules(options.pseudonym);
  const sweep = createDeadlineSweep(clock);
  const deps = { clock, sweep, observer };
  const sender = new Sender({ clock, observer, rules, sweep });
  const triesDeps = { clock, random, observer, sender };
  /** By the upstream's name: what is found out once. */
  const plans = new Map<string, Plan>();

  function planOf(name: string): Plan | undefined {
    let plan = plans.get(name);
    if (plan !== undefined) return plan;
    const upstream = upstreams.get(name);
    if (upstream === undefined) return undefined;
    plans.set(name, (plan = makePlan(upstream)));
    return plan;
  }

  function forward(x: GatewayExchange): Promise<void> | undefined {
    const { request, candidates } = x;
    const lastHop = answerOfLastHop(request);
    x.response = lastHop;
    if (lastHop !== undefined) return undefined;
    const only = candidates.length === 1 ? candidates[0]! : undefined;
    if (only !== undefined && only.prepare === undefined && only.accept === undefined) {
      const asked = ask(x, only);
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

    const asked = await ask(x, candidate);
    if (asked !== undefined || candidate.accept === undefined) return asked;
    const answer = x.response!;
    const refused = await runCandidate(x, () => candidate.accept?.(x, answer), deps);
    if (refused === undefined) return undefined;
    x.response?.body?.cancel();
    x.response = undefined;
    return afterCandidate(x, refused);
  }

  /** Without `async`: each layer of it costs every request, and a failure at once is rare. */
  function ask(x: GatewayExchange, candidate: Candidate): Promise<Failure | undefined> | Failure {
    const plan = planOf(candidate.upstream);
    if (plan === undefined) return { error: unknownUpstream(), movesOn: true };
    const { upstream } = plan;
    x.record.upstream = upstream.config.name;
    x.record.target = undefined;
    x.record.upstreamStatus = 0;
    const begun = clock.monotonic();
    if (begun >= x.deadline) x.cancel(deadlinePassed(x.record));
    if (x.cancelReason !== undefined) return { error: x.cancelReason, movesOn: false };
    const hash = candidate.affinity === undefined ? plan.hash?.(x) : hashText(candidate.affinity);
    const expiresAt = begun + (upstream.config.timeouts.request ?? Number.POSITIVE_INFINITY);
    if (plan.governed || upstream.resolving !== undefined)
      return new Tries(x, plan, hash, expiresAt, triesDeps).run();

    let attempt: Attempt | undefined;
    const failed = (thrown: unknown): Failure => {
      x.record.upstreamWait += clock.monotonic() - begun;
      return sender.failed(x, upstream, attempt, begun, thrown);
    };
    try {
      const target = upstream.pick(hash);
      if (target === undefined) throw noTarget();
      const limits = expiresAt === Number.POSITIVE_INFINITY ? plan.limits : { ...plan.limits, expiresAt };
      const made = (attempt = sender.attempt(x, upstream, target, begun, limits, x.request.body));
      return target.transport.request(made).then((answer) => {
        x.record.upstreamWait += sender.answered(x, upstream, made, begun, answer);
        sender.take(x, upstream, made, answer);
        return undefined;
      }, failed);
    } catch (thrown) {
      return failed(thrown);
    }
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
