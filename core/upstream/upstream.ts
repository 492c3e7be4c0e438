import type { UpstreamView } from "sluice/plugin";
import type { UpstreamConfig } from "../../config/types.ts";
import { type Balancer, createBalancer } from "./balance/index.ts";
import { noTarget } from "./failures.ts";
import { createOutlierDetector, type OutlierDetector } from "./health/index.ts";
import type { Target, TargetOwner } from "./target.ts";
import type { TargetState, TargetWatcher } from "./target-state.ts";
import type { TargetSource } from "./target-source.ts";
import type { UpstreamDeps } from "./upstream-deps.ts";
import { createPolicies, type UpstreamPolicies } from "./upstream-policies.ts";
import type { UpstreamState } from "./upstream-state.ts";

/** A named group of targets that answer the same requests, as one generation of the configuration sees it. */
export class Upstream implements TargetOwner, TargetWatcher {
  readonly config: UpstreamConfig;
  readonly state: UpstreamState;
  /** What plugins see of it. */
  readonly view: UpstreamView;
  readonly policies: UpstreamPolicies;
  readonly slowStart: number | undefined;
  readonly #deps: UpstreamDeps;
  readonly #source: TargetSource;
  readonly #balancer: Balancer<Target>;
  readonly #outlier: OutlierDetector | undefined;
  readonly #limit: number;
  #targets: readonly Target[] = [];
  /** Who may be asked. */
  #preferred: readonly Target[] = [];
  /** The one of them, where there is no other and nothing to choose. */
  #only: Target | undefined;
  #panic = false;
  #available = true;
  readonly #usable = (target: Target): boolean => target.inFlight < this.#limit;

  constructor(config: UpstreamConfig, state: UpstreamState, source: TargetSource, deps: UpstreamDeps) {
    this.config = config;
    this.state = state;
    this.slowStart = config.slowStart;
    this.policies = createPolicies(config, state, deps);
    this.#deps = deps;
    this.#source = source;
    this.#limit = config.limits.requests ?? Number.POSITIVE_INFINITY;
    this.#balancer = createBalancer(config.balance, deps.random);
    this.#outlier = config.outlier && createOutlierDetector(config.outlier, deps.clock);
    this.view = viewOf(this);
    source.open(this, () => this.#retarget());
    this.#retarget();
  }

  get targets(): readonly Target[] {
    return this.#targets;
  }

  get panic(): boolean {
    return this.#panic;
  }

  /** Set while a name of the targets has not been looked up yet, and there is nobody to ask until it is. */
  get resolving(): Promise<void> | undefined {
    return this.#targets.length === 0 ? this.#source.resolving : undefined;
  }

  now(): number {
    return this.#deps.clock.monotonic();
  }

  /**
   * The target whose turn it is; undefined where each has its full number of requests.
   * @param hash of the request's key, for consistent hashing.
   * @param tried by this request; asked again only where there is nobody else.
   * @throws SluiceError `unavailable`, reason `no_target` or `dns`, where none may be asked
   */
  pick(hash?: number, tried?: readonly Target[]): Target | undefined {
    const only = this.#only;
    if (only !== undefined) return only.inFlight < this.#limit ? only : undefined;
    if (this.#preferred.length === 0) throw this.#nobody();
    const now = this.#deps.clock.monotonic();
    const limited = this.#limit === Number.POSITIVE_INFINITY ? undefined : this.#usable;
    if (tried === undefined || tried.length === 0) return this.#balancer.pick(now, hash, limited);
    const fresh = (target: Target): boolean => !tried.includes(target) && this.#usable(target);
    return this.#balancer.pick(now, hash, fresh) ?? this.#balancer.pick(now, hash, limited);
  }

  /** Whether somebody may be asked who is not among `tried`. */
  hasOther(tried: readonly Target[]): boolean {
    return this.#preferred.some((target) => !tried.includes(target));
  }

  // What became of requests.

  /** @param grpcStatus of a gRPC call, where it has one. */
  answered(target: Target, status: number, grpcStatus?: number): void {
    target.state.answers++;
    this.#outlier?.answered(target.state, status, grpcStatus);
  }

  /** A try came to nothing. @param reason as a SluiceError has it. */
  failed(target: Target, reason: string): void {
    const { state } = target;
    state.failures++;
    if (reason === "connect" || reason === "tls" || reason === "timeout.connect") state.refused(reason);
    this.#outlier?.failed(state, reason);
  }

  released(): void {
    if (this.state.queue.length > 0) this.state.queue.advance();
  }

  // What becomes of targets.

  targetChanged(_: TargetState): void {
    this.#regroup();
  }

  /** It is the generation in use from now on. */
  activate(): void {
    this.state.owner = this;
    this.#source.check();
    this.#regroup();
  }

  /** Nobody asks it any more. */
  close(): void {
    for (const target of this.#targets) target.state.unwatch(this);
    if (this.state.owner === this) {
      this.state.owner = undefined;
      for (const id of [...this.state.checks.keys()]) this.state.stopCheck(id);
    }
    this.#source.close();
    this.policies.close();
  }

  /** It is another generation's turn, which does without this upstream. */
  deactivate(): void {
    if (this.state.owner !== this) return;
    this.state.owner = undefined;
    for (const id of [...this.state.checks.keys()]) this.state.stopCheck(id);
  }

  #retarget(): void {
    const before = this.#targets;
    const targets = this.#source.targets;
    for (const { state } of before) state.unwatch(this);
    for (const { state } of targets) state.watch(this);
    this.#targets = targets;
    this.#outlier?.update(targets.map(({ state }) => state));
    if (this.state.owner === this) this.#source.check();
    this.#regroup();
  }

  /** Who may be asked is decided when something changes, and not for each request. */
  #regroup(): void {
    const { targets, panic } = chosen(this.#targets, this.config.panicThreshold);
    // Who cannot be connected to is asked where there is nobody else.
    const reachable = targets.filter(({ state }) => !state.unreachable);
    const preferred = reachable.length > 0 ? reachable : targets;
    this.#preferred = preferred;
    this.#only = preferred.length === 1 ? preferred[0] : undefined;
    this.#balancer.update(preferred);
    const wasPanic = this.#panic;
    const wasAvailable = this.#available;
    this.#panic = panic;
    this.#available = preferred.length > 0;
    if (this.state.owner === this) this.#speak(wasPanic, wasAvailable);
    if (this.state.queue.length > 0) this.state.queue.advance();
  }

  #speak(wasPanic: boolean, wasAvailable: boolean): void {
    const { state } = this;
    const fit = this.#targets.filter((target) => target.state.fit).length;
    const facts = `${fit} of ${this.#targets.length} targets are fit`;
    if (this.#panic !== wasPanic) state.report(this.#panic ? "panic" : "panic_over", undefined, facts);
    if (this.#available !== wasAvailable)
      state.report(this.#available ? "available" : "none_available", undefined, facts);
  }

  #nobody() {
    const { failure } = this.#source;
    if (this.#targets.length === 0 && failure !== undefined) return noTarget(0, "dns", new Error(failure));
    const { health } = this.config;
    const checked = health === undefined ? 0 : health.interval;
    const now = this.#deps.clock.monotonic();
    let soonest = Number.POSITIVE_INFINITY;
    for (const { state } of this.#targets) {
      if (state.drained) continue;
      soonest = Math.min(soonest, state.healthy ? state.ejectedUntil - now : checked);
    }
    return noTarget(soonest === Number.POSITIVE_INFINITY ? 0 : soonest);
  }
}

/** The targets of the first priority at which somebody may be asked; all of it in panic. */
function chosen(
  targets: readonly Target[],
  threshold: number,
): { readonly targets: readonly Target[]; readonly panic: boolean } {
  const asked = targets.filter(({ state }) => !state.drained);
  const fit = asked.filter(({ state }) => state.fit);
  const level = Math.min(...(fit.length > 0 ? fit : asked).map(({ priority }) => priority));
  const all = fit.length > 0 ? asked.filter(({ priority }) => priority === level) : asked;
  const good = fit.filter(({ priority }) => priority === level);
  const panic = all.length > 0 && good.length < all.length * threshold;
  return { targets: panic ? all : good, panic };
}

function viewOf(upstream: Upstream): UpstreamView {
  const { config, policies, state } = upstream;
  const { breaker, bulkhead, budget } = policies;
  return {
    name: config.name,
    protocol: config.protocol,
    balance: config.balance,
    get targets() {
      return upstream.targets;
    },
    get panic() {
      return upstream.panic;
    },
    get queued() {
      return state.queue.length;
    },
    get circuit() {
      return breaker?.state;
    },
    get bulkhead() {
      return bulkhead === undefined ? undefined : { active: bulkhead.active, waiting: bulkhead.waiting };
    },
    get retries() {
      return budget === undefined ? undefined : { requests: budget.requests, retries: budget.retries };
    },
  };
}
