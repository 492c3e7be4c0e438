import { type Body, type Clock, type Random, SluiceError } from "sluice/plugin";
import type { GatewayExchange, Observer } from "../pipeline/types.ts";
import type { Permit } from "../policies/index.ts";
import { noTarget } from "../upstream/failures.ts";
import type { Target, UpstreamAnswer } from "../upstream/index.ts";
import type { Attempt } from "./attempt.ts";
import type { Plan } from "./plan.ts";
import { nextDelay } from "./retry/next-delay.ts";
import { ReplayBody } from "./retry/replay-body.ts";
import type { Failure, Sender } from "./sender.ts";
import { cancellable, tookTooLong, waitWithin } from "./waiting.ts";

export interface TriesDeps {
  readonly clock: Clock;
  readonly random: Pick<Random, "next">;
  readonly observer: Pick<Observer, "retried">;
  readonly sender: Sender;
}

/** What one try has come to. */
interface Outcome {
  readonly attempt: Attempt | undefined;
  readonly answer: UpstreamAnswer | undefined;
  readonly failure: Failure | undefined;
}

/** A try that is under way. Its promise does not reject. */
interface Running {
  readonly attempt: Attempt;
  readonly outcome: Promise<Outcome>;
}

/**
 * The tries of one request at one upstream, under the policies of its configuration: waiting for a place, retries where
 * they are safe, hedging, the circuit breaker.
 */
export class Tries {
  readonly #x: GatewayExchange;
  readonly #plan: Plan;
  readonly #hash: number | undefined;
  readonly #expiresAt: number;
  readonly #deps: TriesDeps;
  readonly #tried: Target[] = [];
  #replay: ReplayBody | undefined;
  #release: (() => void) | undefined;

  /** @param expiresAt monotonic milliseconds by which all of it must be over. */
  constructor(x: GatewayExchange, plan: Plan, hash: number | undefined, expiresAt: number, deps: TriesDeps) {
    this.#x = x;
    this.#plan = plan;
    this.#hash = hash;
    this.#expiresAt = expiresAt;
    this.#deps = deps;
  }

  /** Sets `x.response`, or answers why there is none. Does not throw. */
  async run(): Promise<Failure | undefined> {
    const { bulkhead } = this.#plan.upstream.policies;
    if (bulkhead === undefined) return this.#tryAgain();
    try {
      await this.#within((onCancel) => bulkhead.enter(onCancel) ?? Promise.resolve());
    } catch (thrown) {
      return this.#failed(undefined, this.#now(), thrown);
    }
    this.#release = () => bulkhead.leave();
    try {
      return await this.#tryAgain();
    } finally {
      // Where an answer goes on, its attempt has taken this over.
      this.#release?.();
    }
  }

  async #tryAgain(): Promise<Failure | undefined> {
    const { upstream, retries } = this.#plan;
    const { body } = this.#x.request;
    const several = retries !== undefined || upstream.config.hedge !== undefined;
    const replay =
      body !== null && several ? new ReplayBody(body, retries?.config.maxBody ?? MAX_BODY) : undefined;
    this.#replay = replay;
    upstream.policies.budget?.request();
    upstream.policies.hedges?.request();
    try {
      for (let tries = 1; ; tries++) {
        const begun = this.#now();
        const outcome = await this.#race();
        this.#x.record.upstreamWait += this.#now() - begun;
        const delay = this.#mayRetry(outcome, tries);
        if (delay === undefined) return this.#settle(outcome);
        discard(outcome);
        if (delay > 0) await this.#pause(delay);
        this.#deps.observer.retried(upstream.config.name, "retry", "sent");
      }
    } catch (thrown) {
      // The request was given up during a pause.
      return { error: SluiceError.from(thrown), movesOn: false };
    } finally {
      replay?.release();
    }
  }

  /** What the last try has come to is what the request comes to. */
  #settle({ attempt, answer, failure }: Outcome): Failure | undefined {
    if (attempt === undefined || answer === undefined) return failure;
    attempt.whenOver = this.#release;
    this.#release = undefined;
    // Of several that ran beside each other, it may not be the last that was sent.
    this.#x.record.target = attempt.to.url;
    this.#x.record.upstreamStatus = answer.status;
    try {
      this.#deps.sender.take(this.#x, this.#plan.upstream, attempt, answer);
      return undefined;
    } catch (thrown) {
      return { error: SluiceError.from(thrown), movesOn: false };
    }
  }

  /** Milliseconds until the next try; undefined where this was the last one. */
  #mayRetry({ attempt, answer, failure }: Outcome, tries: number): number | undefined {
    const { retries, upstream } = this.#plan;
    const x = this.#x;
    if (retries === undefined || tries >= retries.config.attempts || x.cancelled) return undefined;
    if (failure !== undefined) {
      // What was not sent on purpose (a breaker, a queue) is not sent again.
      if (attempt === undefined || failure.error.owner !== "upstream") return undefined;
      const { reason } = failure.error;
      if (!retries.on.failed(reason) && !this.#wasLate(reason)) return undefined;
    }
    if (answer !== undefined && !retries.on.answered(answer.status, statusOfCall(x, answer)))
      return undefined;
    // The refusal would stand in the place of what the upstream has said.
    if (upstream.policies.breaker?.state === "open") return undefined;
    const sent = answer !== undefined || attempt?.sent === true;
    if (sent && !this.#repeatable) return undefined;
    const other = upstream.hasOther(this.#tried);
    // What one target asks for with `Retry-After` is nothing to another.
    const headers = other ? undefined : answer?.headers;
    const unreached = failure !== undefined && !sent && other;
    const delay = unreached ? 0 : nextDelay(tries, retries.config, headers, this.#deps);
    if (delay === undefined || this.#now() + delay >= Math.min(this.#expiresAt, x.deadline)) return undefined;
    if (this.#replay?.rewindable === false) return undefined;
    if (upstream.policies.budget?.take() === false) {
      this.#deps.observer.retried(upstream.config.name, "retry", "no_budget");
      return undefined;
    }
    // Last: the answer of this try might be passed on while its upload still runs.
    return this.#replay?.rewind() === false ? undefined : delay;
  }

  /** Whether a try took longer than one may. */
  #wasLate(reason: string): boolean {
    const perTry = this.#plan.retries?.config.perTryTimeout;
    return perTry !== undefined && (reason === "timeout.first_byte" || reason === "timeout.connect");
  }

  /** Whether the request may be sent again once a byte of it was. */
  get #repeatable(): boolean {
    return this.#plan.retries?.methods.has(this.#x.request.method) === true;
  }

  /** One try, and those that hedge it. */
  async #race(): Promise<Outcome> {
    const first = await this.#start();
    if ("failure" in first) return first;
    const after = this.#hedgeAfter();
    if (after === undefined) return first.outcome;
    const running = new Map([[first.attempt, first.outcome]]);
    let last: Outcome | undefined;
    for (let more = this.#plan.upstream.config.hedge?.max ?? 0; running.size > 0;) {
      const ended = await this.#next(running, more > 0 ? after : undefined);
      if (ended === undefined) {
        const hedge = this.#hedge();
        more = hedge === undefined ? 0 : more - 1;
        if (hedge !== undefined) running.set(hedge.attempt, hedge.outcome);
        continue;
      }
      running.delete(ended.attempt!);
      if (last !== undefined) discard(last);
      last = ended;
      if (this.#isGood(ended)) break;
    }
    for (const [loser, outcome] of running) {
      loser.giveUp(slower());
      // Its answer may be here as well.
      void outcome.then(discard);
    }
    return last!;
  }

  /** The next of those running that ends; undefined once it is time to hedge. */
  async #next(
    running: ReadonlyMap<Attempt, Promise<Outcome>>,
    after: number | undefined,
  ): Promise<Outcome | undefined> {
    const ends: Promise<Outcome | undefined>[] = [...running.values()];
    if (after === undefined) return Promise.race(ends);
    const { promise: timer, resolve } = Promise.withResolvers<undefined>();
    const stop = this.#deps.clock.setTimeout(() => resolve(undefined), after);
    const ended = await Promise.race([...ends, timer]);
    stop();
    return ended;
  }

  /** Sends the request once more beside one that is slow; undefined where that cannot be, or may not. */
  #hedge(): Running | undefined {
    const { upstream } = this.#plan;
    const { breaker, hedges } = upstream.policies;
    // All of the body has to be at hand.
    const body = this.#x.request.body === null ? null : this.#replay?.whole();
    if (body === undefined || this.#x.cancelled) return undefined;
    let permit: Permit | undefined;
    try {
      const target = this.#pick();
      if (target === undefined) return undefined;
      permit = breaker?.enter();
      if (hedges?.take() !== true) {
        this.#deps.observer.retried(upstream.config.name, "hedge", "no_budget");
        return undefined;
      }
      const hedge = this.#send(target, permit, body);
      permit = undefined;
      this.#deps.observer.retried(upstream.config.name, "hedge", "sent");
      return hedge;
    } catch {
      // Nobody may be asked, which is no failure of the try that runs.
      return undefined;
    } finally {
      if (permit !== undefined) breaker?.abandoned(permit);
    }
  }

  /** Milliseconds; undefined where the request is not hedged. */
  #hedgeAfter(): number | undefined {
    const { upstream, hedged } = this.#plan;
    const after = upstream.config.hedge?.after;
    const { request, inbound } = this.#x;
    // Two answers to an upgrade would both read what the client goes on with.
    if (after === undefined || !hedged.has(request.method) || inbound.upgrade !== undefined) return undefined;
    return "ms" in after ? after.ms : upstream.policies.latencies?.at(after.percentile);
  }

  #isGood({ answer, failure }: Outcome): boolean {
    if (answer === undefined) return failure?.error.owner !== "upstream";
    const { retries } = this.#plan;
    return retries === undefined || !retries.on.answered(answer.status, statusOfCall(this.#x, answer));
  }

  /** One attempt at the next target, which is waited for. */
  async #start(): Promise<Running | Outcome> {
    const { breaker } = this.#plan.upstream.policies;
    const begun = this.#now();
    let permit: Permit | undefined;
    /** A target on which a place is held until the attempt has one. */
    let held: Target | undefined;
    try {
      permit = breaker?.enter();
      const target = this.#pick() ?? (held = await this.#place());
      if (this.#now() >= this.#expiresAt) throw tookTooLong();
      const running = this.#send(target, permit, this.#replay ?? this.#x.request.body);
      permit = undefined;
      return running;
    } catch (thrown) {
      return { attempt: undefined, answer: undefined, failure: this.#failed(undefined, begun, thrown) };
    } finally {
      if (permit !== undefined) breaker?.abandoned(permit);
      held?.release();
    }
  }

  /** @throws SluiceError where the request may not be sent */
  #send(target: Target, permit: Permit | undefined, body: Body | null): Running {
    const { upstream } = this.#plan;
    const { sender } = this.#deps;
    const begun = this.#now();
    const { retries } = this.#plan;
    const limits = {
      expiresAt: this.#expiresAt,
      timeouts: retries !== undefined && this.#repeatable ? retries.timeouts : upstream.config.timeouts,
      once:
        retries !== undefined &&
        this.#repeatable &&
        retries.config.attempts > 1 &&
        retries.on.failed("reset"),
    };
    const attempt = sender.attempt(this.#x, upstream, target, begun, limits, body);
    attempt.permit = permit;
    this.#tried.push(target);
    const outcome = target.transport.request(attempt).then(
      (answer) => {
        sender.answered(this.#x, upstream, attempt, begun, answer);
        return { attempt, answer, failure: undefined };
      },
      (thrown: unknown) => ({ attempt, answer: undefined, failure: this.#failed(attempt, begun, thrown) }),
    );
    return { attempt, outcome };
  }

  #pick(): Target | undefined {
    const { upstream } = this.#plan;
    // Who waits has come before.
    if (upstream.resolving !== undefined || upstream.state.queue.holds(upstream)) return undefined;
    return upstream.pick(this.#hash, this.#tried);
  }

  /** Waits for a target, for its name to be looked up or for it to have room, and holds a place on it. */
  async #place(): Promise<Target> {
    const { upstream } = this.#plan;
    for (let pending = upstream.resolving; pending !== undefined; pending = upstream.resolving)
      await this.#within(cancellable(pending));
    let target: Target | undefined;
    const place = (): boolean => {
      target = upstream.pick(this.#hash, this.#tried);
      target?.acquire();
      return target !== undefined;
    };
    const { limits } = upstream.config;
    await this.#within((onCancel) => upstream.state.queue.wait(upstream, place, limits, onCancel));
    if (target === undefined) throw noTarget();
    return target;
  }

  #failed(attempt: Attempt | undefined, begun: number, thrown: unknown): Failure {
    return this.#deps.sender.failed(this.#x, this.#plan.upstream, attempt, begun, thrown);
  }

  /** @throws why the request was given up meanwhile */
  async #pause(ms: number): Promise<void> {
    let stop: (() => void) | undefined;
    const over = new Promise<void>((resolve) => {
      stop = this.#deps.clock.setTimeout(resolve, ms);
    });
    try {
      await this.#within(cancellable(over));
    } finally {
      stop?.();
    }
  }

  #within<T>(wait: Parameters<typeof waitWithin<T>>[3]): Promise<T> {
    return waitWithin(this.#x, this.#deps.clock, this.#expiresAt, wait);
  }

  #now(): number {
    return this.#deps.clock.monotonic();
  }
}

/** Bytes of a body that are kept for a hedge where no retries are configured. */
const MAX_BODY = 65_536;

/** A gRPC status that stands in the answer's head, where nothing else follows. */
function statusOfCall(x: GatewayExchange, { headers, body }: UpstreamAnswer): number | undefined {
  if (x.protocol !== "grpc" || body !== null) return undefined;
  const value = headers.get("grpc-status");
  return value === undefined ? undefined : Number(value);
}

/** Nobody will take it for the request's answer. */
function discard({ attempt, answer }: Outcome): void {
  answer?.body?.cancel();
  attempt?.finish();
}

function slower(): SluiceError {
  return new SluiceError("client_closed", "Another try of the request was faster.", { reason: "hedged" });
}
