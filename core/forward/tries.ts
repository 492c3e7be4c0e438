import { type Body, type Clock, type Random, SluiceError } from "sluice/plugin";
import type { GatewayExchange, Observer } from "../pipeline/types.ts";
import type { Permit } from "../policies/index.ts";
import { noTarget } from "../upstream/failures.ts";
import type { Target, UpstreamAnswer } from "../upstream/index.ts";
import type { Attempt } from "./attempt.ts";
import { nextDelay } from "./retry/next-delay.ts";
import { ReplayBody } from "./retry/replay-body.ts";
import type { Plan } from "./plan.ts";
import type { Failure, Sender } from "./sender.ts";

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

/** Tries that run beside each other, the later ones hedging the first. */
interface Race {
  readonly running: Map<Attempt, Promise<Outcome>>;
  /** Ends the wait until the next one is sent. */
  stopTimer: () => void;
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
    try {
      const entered = bulkhead?.enter((cancel) => this.#x.onCancel(cancel));
      if (entered !== undefined) await entered;
    } catch (thrown) {
      return this.#failed(undefined, this.#now(), thrown);
    }
    if (bulkhead !== undefined) this.#release = () => bulkhead.leave();
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
        this.#deps.observer.retried(upstream.config.name, "retry", "sent");
        if (delay > 0 && !(await this.#pause(delay))) return this.#cancelled();
      }
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
      if (reason !== "timeout.try" && !retries.on.failed(reason)) return undefined;
    }
    if (answer !== undefined && !retries.on.answered(answer.status, statusOfCall(x, answer)))
      return undefined;
    const sent = answer !== undefined || attempt?.sent === true;
    if (sent && !retries.methods.has(x.request.method)) return undefined;
    const unreached = failure !== undefined && !sent && upstream.hasOther(this.#tried);
    const delay = unreached ? 0 : nextDelay(tries, retries.config, answer?.headers, this.#deps);
    if (delay === undefined || this.#now() + delay >= Math.min(this.#expiresAt, x.deadline)) return undefined;
    if (this.#replay?.rewindable === false) return undefined;
    if (upstream.policies.budget?.take() === false) {
      this.#deps.observer.retried(upstream.config.name, "retry", "no_budget");
      return undefined;
    }
    // Last: the answer of this try might be passed on while its upload still runs.
    this.#replay?.rewind();
    return delay;
  }

  /** One try, and those that hedge it. */
  async #race(): Promise<Outcome> {
    const { upstream, hedged } = this.#plan;
    const { hedge } = upstream.config;
    const first = await this.#start(this.#replay ?? this.#x.request.body);
    if (first.attempt === undefined) return first.outcome!;
    const after = this.#hedgeAfter();
    if (hedge === undefined || after === undefined || !hedged.has(this.#x.request.method))
      return first.running!;
    const race: Race = { running: new Map([[first.attempt, first.running!]]), stopTimer: () => {} };
    let last: Outcome | undefined;
    for (let more = hedge.max; race.running.size > 0;) {
      const ended = await this.#next(race, more > 0 ? after : undefined);
      if (ended === undefined) {
        more--;
        if (!(await this.#hedge(race))) more = 0;
        continue;
      }
      race.running.delete(ended.attempt!);
      if (last !== undefined) discard(last);
      last = ended;
      if (this.#isGood(ended)) break;
    }
    for (const [loser, running] of race.running) {
      loser.giveUp(slower());
      // Its answer may be here as well.
      void running.then(discard);
    }
    return last!;
  }

  /** The next of the race that ends; undefined once it is time to hedge. */
  async #next(race: Race, after: number | undefined): Promise<Outcome | undefined> {
    const ends: Promise<Outcome | undefined>[] = [...race.running.values()];
    if (after === undefined) return Promise.race(ends);
    const timer = new Promise<undefined>((resolve) => {
      race.stopTimer = this.#deps.clock.setTimeout(() => resolve(undefined), after);
    });
    const ended = await Promise.race([...ends, timer]);
    race.stopTimer();
    return ended;
  }

  /** Sends the request once more beside the one that is slow; false where that may not be. */
  async #hedge(race: Race): Promise<boolean> {
    const { upstream } = this.#plan;
    const body = this.#copyOfBody();
    if (body === undefined || this.#x.cancelled) return false;
    if (upstream.policies.hedges?.take() !== true) {
      this.#deps.observer.retried(upstream.config.name, "hedge", "no_budget");
      return false;
    }
    const { attempt, running } = await this.#start(body, false);
    if (attempt === undefined || running === undefined) return false;
    this.#deps.observer.retried(upstream.config.name, "hedge", "sent");
    race.running.set(attempt, running);
    return true;
  }

  /** The request's body for another try beside the first; undefined where not all of it is at hand. */
  #copyOfBody(): Body | null | undefined {
    if (this.#x.request.body === null) return null;
    return this.#replay?.whole();
  }

  #hedgeAfter(): number | undefined {
    const { upstream } = this.#plan;
    const after = upstream.config.hedge?.after;
    if (after === undefined) return undefined;
    return "ms" in after ? after.ms : upstream.policies.latencies?.at(after.percentile);
  }

  #isGood({ answer, failure }: Outcome): boolean {
    if (answer === undefined) return failure?.error.owner !== "upstream";
    const { retries } = this.#plan;
    return retries === undefined || !retries.on.answered(answer.status, statusOfCall(this.#x, answer));
  }

  /**
   * One attempt at the next target.
   * @param waits whether it waits for a target to have room.
   */
  async #start(
    body: Body | null,
    waits = true,
  ): Promise<{ attempt?: Attempt; running?: Promise<Outcome>; outcome?: Outcome }> {
    const { upstream } = this.#plan;
    const { sender } = this.#deps;
    const begun = this.#now();
    const { breaker } = upstream.policies;
    let attempt: Attempt | undefined;
    let permit: Permit | undefined;
    /** A target on which a place is held until the attempt has one. */
    let held: Target | undefined;
    const failed = (thrown: unknown): Outcome => ({
      attempt,
      answer: undefined,
      failure: this.#failed(attempt, begun, thrown),
    });
    try {
      permit = breaker?.enter();
      const target = this.#pick() ?? (waits ? (held = await this.#place()) : undefined);
      if (target === undefined) return {};
      const limits = { expiresAt: this.#expiresAt, headBy: this.#headBy() };
      const made = (attempt = sender.attempt(this.#x, upstream, target, this.#now(), limits, body));
      made.permit = permit;
      permit = undefined;
      this.#tried.push(target);
      const running = target.transport.request(made).then((answer) => {
        sender.answered(this.#x, upstream, made, begun, answer);
        return { attempt: made, answer, failure: undefined };
      }, failed);
      return { attempt: made, running };
    } catch (thrown) {
      return { outcome: failed(thrown) };
    } finally {
      if (permit !== undefined) breaker?.abandoned(permit);
      held?.release();
    }
  }

  #pick(): Target | undefined {
    const { upstream } = this.#plan;
    if (upstream.resolving !== undefined || upstream.state.queue.length > 0) return undefined;
    return upstream.pick(this.#hash, this.#tried);
  }

  /** Waits for a target, for its name to be looked up or for it to have room, and holds a place on it. */
  async #place(): Promise<Target> {
    const { upstream } = this.#plan;
    for (let pending = upstream.resolving; pending !== undefined; pending = upstream.resolving)
      await this.#unlessCancelled(pending);
    let target: Target | undefined;
    await upstream.state.queue.wait(
      () => {
        target = upstream.pick(this.#hash, this.#tried);
        target?.acquire();
        return target !== undefined;
      },
      upstream.config.limits,
      (cancel) => this.#x.onCancel(cancel),
    );
    if (target === undefined) throw noTarget();
    return target;
  }

  #headBy(): number {
    const perTry = this.#plan.retries?.config.perTryTimeout;
    return perTry === undefined ? Number.POSITIVE_INFINITY : this.#now() + perTry;
  }

  #failed(attempt: Attempt | undefined, begun: number, thrown: unknown): Failure {
    return this.#deps.sender.failed(this.#x, this.#plan.upstream, attempt, begun, thrown);
  }

  #cancelled(): Failure {
    return { error: this.#x.cancelReason!, movesOn: false };
  }

  /** False where the request is cancelled meanwhile. */
  async #pause(ms: number): Promise<boolean> {
    let stop: (() => void) | undefined;
    const over = new Promise<void>((resolve) => {
      stop = this.#deps.clock.setTimeout(resolve, ms);
    });
    try {
      await this.#unlessCancelled(over);
      return true;
    } catch {
      return false;
    } finally {
      stop?.();
    }
  }

  async #unlessCancelled(work: Promise<void>): Promise<void> {
    let takeBack: (() => void) | undefined;
    const cancelled = new Promise<never>((_, reject) => {
      takeBack = this.#x.onCancel(reject);
    });
    try {
      await Promise.race([work, cancelled]);
    } finally {
      takeBack?.();
    }
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
