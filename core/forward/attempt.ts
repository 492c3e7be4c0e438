import { type Body, type Clock, type HeaderList, SluiceError } from "sluice/plugin";
import type { UpstreamTimeouts } from "../../config/types.ts";
import type { UpgradeOffer } from "../listener/inbound.ts";
import type { DeadlineSweep, Swept } from "../pipeline/deadline-sweep.ts";
import type { GatewayExchange } from "../pipeline/types.ts";
import type { Permit } from "../policies/index.ts";
import { failureMatcher } from "../upstream/failure-class.ts";
import { authorityOfTarget } from "../upstream/authority.ts";
import type { Cancellable, OutboundRequest, Progress, Target, Upstream } from "../upstream/index.ts";
import type { AnswerBody } from "./answer-body.ts";
import { authorityOf, type HeaderRules } from "./header-rules.ts";
import { tookTooLong } from "./waiting.ts";

/** What every attempt of a forwarder shares. */
export interface AttemptDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly rules: Pick<HeaderRules, "inform">;
  readonly sweep: DeadlineSweep;
}

/** How long it may take. */
export interface AttemptLimits {
  /** The whole exchange; monotonic milliseconds, `Infinity` for none. */
  readonly expiresAt: number;
  /** Its parts. */
  readonly timeouts: UpstreamTimeouts;
  /** Whether resets are tried again by policy, so that the transport does not do so by itself. */
  readonly once: boolean;
}

/**
 * One request to one target, from the moment the target counts it until its answer is over. It is the
 * transport's request, the progress in it and the entry in the sweep of deadlines in one object.
 */
export class Attempt implements OutboundRequest, Progress, Swept {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly scheme: "http" | "https";
  readonly headers: HeaderList;
  readonly body: Body | null;
  readonly upgrade: UpgradeOffer | undefined;
  readonly timeouts: UpstreamTimeouts;
  readonly once: boolean;
  sent = false;
  reused = false;
  before: Swept | undefined;
  after: Swept | undefined;
  /** Set once the answer's head is here, where it has a body. */
  answer: AnswerBody | undefined;
  /** Why it was ended before its time; decides over whatever the transport says then. */
  overdue: SluiceError | undefined;
  /** The circuit breaker's, where there is one. */
  permit: Permit | undefined;
  /** Runs when it is over. */
  whenOver: (() => void) | undefined;
  readonly to: Target;
  readonly #x: GatewayExchange;
  readonly #deps: AttemptDeps;
  readonly #upstream: Upstream;
  readonly #limits: AttemptLimits;
  #call: Cancellable | undefined;
  #timed: boolean;
  /** When the circuit breaker takes a call that goes on for good. */
  #goodAt = Number.POSITIVE_INFINITY;
  #judged = false;
  /** When the last byte of its body was sent; 0 until then. */
  #bodySentAt = 0;
  #finished = false;
  #over = false;

  /**
   * The target counts it from here on.
   * @param headers for the upstream.
   * @param body of the request.
   * @param upgrade that is passed on; undefined for none.
   */
  constructor(
    x: GatewayExchange,
    upstream: Upstream,
    to: Target,
    headers: HeaderList,
    body: Body | null,
    upgrade: UpgradeOffer | undefined,
    limits: AttemptLimits,
    deps: AttemptDeps,
  ) {
    const { request } = x;
    const { config } = to;
    this.method = request.method;
    // RFC 9112 §3.2.4: `*` names the server as a whole, whatever the base path.
    this.target = request.path === "*" ? "*" : config.basePath + request.path + request.search;
    // RFC 9112 §3.2: an HTTP/1.1 request names a host even where the client, of HTTP/1.0, did not.
    this.authority = authorityOf(request) || authorityOfTarget(config);
    this.scheme = config.scheme === "https" ? "https" : "http";
    this.headers = headers;
    this.body = body;
    this.upgrade = upgrade;
    this.timeouts = limits.timeouts;
    this.once = limits.once;
    this.to = to;
    this.#x = x;
    this.#upstream = upstream;
    this.#limits = limits;
    this.#deps = deps;
    x.departed = true;
    to.acquire();
    this.#timed = limits.expiresAt !== Number.POSITIVE_INFINITY;
    if (this.#timed) deps.sweep.add(this);
  }

  get finished(): boolean {
    return this.#finished;
  }

  set finished(finished: boolean) {
    this.#finished = finished;
    if (finished && this.body !== null) this.#bodySentAt = this.#deps.clock.monotonic();
  }

  get progress(): Progress {
    return this;
  }

  onCancel(call: Cancellable): void {
    this.#call = call;
    this.#x.attach(this);
  }

  offCancel(): void {
    this.#call = undefined;
    this.#x.detach(this);
  }

  /** The request was cancelled, with whatever is under way for it. */
  cancelled(reason: unknown): void {
    // The caller's deadline ends an answer that has begun in the caller's protocol, where that has a word for it.
    if (reason instanceof SluiceError && reason.reason === "timeout.deadline" && this.answer !== undefined)
      this.#expire(reason);
    else this.#call?.cancelled(reason);
  }

  /** The transport sends it once more: the connection turned out to be closing. */
  resent(): void {
    this.#x.record.attempts++;
  }

  onInform(status: number, headers: HeaderList): void {
    this.#deps.rules.inform(headers);
    this.#x.inbound.inform(status, headers);
  }

  checkDeadline(now: number): void {
    if (now >= this.#goodAt) {
      this.#goodAt = Number.POSITIVE_INFINITY;
      this.#decide(true);
    }
    if (this.overdue !== undefined) return;
    if (now >= this.#limits.expiresAt) this.#expire(tookTooLong());
  }

  /** Somebody waits for the answer's body: a step that reads it, whose time that is not. */
  waits(): (() => void) | undefined {
    return this.#x.atWork === undefined ? undefined : this.#x.waitsFor("upstreamWait");
  }

  statusMissing(): SluiceError {
    // The caller gets a whole answer that says so: nobody else would note the failure.
    return (this.#x.record.failure = new SluiceError(
      "upstream_failed",
      "the upstream's answer ended without a gRPC status",
      { reason: "protocol" },
    ));
  }

  /** It goes on in another protocol, as long as both sides like: no deadline holds for that. */
  switched(): void {
    if (this.#timed) this.#deps.sweep.remove(this);
    this.#timed = false;
  }

  /** Another try of the same request was faster. */
  giveUp(reason: SluiceError): void {
    this.overdue = reason;
    this.#call?.cancelled(reason);
  }

  /** Its answer's head is here, after `waited` milliseconds. @param headers of the answer. */
  answered(status: number, headers: HeaderList, body: boolean, now: number, waited: number): void {
    // A refusal may come faster than any work is done: nobody is drawn by that.
    this.#took(now, waited, status >= 500);
    // What stood before says nothing about what it takes to connect now.
    if (!this.reused) this.to.state.reached();
    // What a gRPC call has come to stands in its trailers.
    const grpc = this.#x.protocol === "grpc" && status === 200;
    if (!grpc) this.#judge(status, undefined);
    else if (!body) this.#judge(status, grpcStatusOf(headers));
    else if (this.permit !== undefined) {
      this.#goodAt = now + STREAM_IS_GOOD;
      if (!this.#timed) this.#deps.sweep.add(this);
      this.#timed = true;
    }
  }

  /**
   * It came to nothing after `waited` milliseconds.
   * @param reason the failure class, where the upstream has failed; undefined where not.
   */
  failed(reason: string | undefined, now: number, waited: number): void {
    // As long as that, at least, an answer would have taken.
    if (this.sent) this.#took(now, waited, true);
    this.#blame(reason);
    this.finish();
  }

  /** The answer's body has come to its end, perhaps with trailers. */
  ended(trailers: HeaderList | undefined): void {
    if (this.#x.protocol === "grpc" && !this.#judged) this.#judge(200, grpcStatusOf(trailers));
    this.finish();
  }

  /** The answer's body has broken off. */
  brokeOff(error: unknown): void {
    if (error instanceof SluiceError && error.owner === "upstream") {
      this.#blame(error.reason);
      // A gRPC caller gets a whole answer that says so: nobody else would note the failure.
      if (this.#x.protocol === "grpc") this.#x.record.failure = error;
    }
    this.finish();
  }

  /** The target counts it no longer. Idempotent. */
  finish(): void {
    if (this.#over) return;
    this.#over = true;
    const { permit } = this;
    if (permit !== undefined) {
      this.permit = undefined;
      this.#upstream.policies.breaker?.abandoned(permit);
    }
    this.to.release();
    if (this.#timed) this.#deps.sweep.remove(this);
    this.whenOver?.();
  }

  /**
   * The target has taken so long. What the client took to send its body is not the target's time.
   * @param atLeast whether it says nothing where it is less than what is known.
   */
  #took(now: number, waited: number, atLeast: boolean): void {
    if (!this.#finished) return;
    const { latency } = this.to.state;
    const took = this.body === null ? waited : now - this.#bodySentAt;
    if (!atLeast || took > latency.at(now)) latency.observe(took, now);
    this.#upstream.policies.latencies?.observe(took);
  }

  /** A full pool of ours, a deadline that the caller has set, and an upload that takes its time are not its fault. */
  #blame(reason: string | undefined): void {
    if (reason === undefined || !SERVER_FAULT.failed(reason)) return;
    if (reason === "timeout.request" && !this.finished) return;
    this.#upstream.failed(this.to, reason);
    this.#decide(false);
  }

  #judge(status: number, grpcStatus: number | undefined): void {
    this.#judged = true;
    this.#upstream.answered(this.to, status, grpcStatus);
    const good = !SERVER_FAULT.answered(status, grpcStatus);
    if (!good) this.to.state.failures++;
    this.#decide(good);
  }

  /** Tells the circuit breaker, once. */
  #decide(good: boolean): void {
    const { permit } = this;
    const { breaker } = this.#upstream.policies;
    if (permit === undefined || breaker === undefined) return;
    this.permit = undefined;
    if (good) breaker.succeeded(permit);
    else breaker.failed(permit);
  }

  #expire(overdue: SluiceError): void {
    this.overdue = overdue;
    if (this.answer === undefined) {
      this.#call?.cancelled(overdue);
      return;
    }
    // A gRPC caller gets a whole answer that says so: nobody else would note the failure.
    if (this.#x.protocol === "grpc") this.#x.record.failure = overdue;
    this.answer.expire(overdue);
  }
}

/** Milliseconds after which a call whose answer has begun is no longer waited for: a stream may go on for hours. */
const STREAM_IS_GOOD = 1_000;

/** What a circuit breaker takes for a failure. */
const SERVER_FAULT = failureMatcher(["connect", "reset", "timeout", "5xx"]);

/** UNKNOWN where there is none, as gRPC's clients have it. */
function grpcStatusOf(headers: HeaderList | undefined): number {
  const value = headers?.get("grpc-status");
  return value !== undefined && /^\d{1,3}$/.test(value) ? Number(value) : 2;
}
