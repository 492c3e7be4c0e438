import type { NameView, UpstreamView } from "sluice/plugin";
import type { UpstreamConfig } from "../../config/types.ts";
import { type Balancer, createBalancer } from "./balance/index.ts";
import { noTarget } from "./failures.ts";
import { createOutlierDetector, type OutlierDetector } from "./health/index.ts";
import type { Target, TargetOwner } from "./target.ts";
import type { TargetWatcher } from "./target-state.ts";
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
  /** Something has changed since the targets were grouped. */
  #stale = false;
  #stopRegroup: (() => void) | undefined;
  readonly #usable = (target: Target): boolean => target.inFlight < this.#limit;
  /** The same while the groups are not those of this moment. */
  readonly #stillUsable = (target: Target): boolean =>
    target.state.fit && !target.state.unreachable && target.inFlight < this.#limit;

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

  get names(): readonly NameView[] {
    return this.#source.names;
  }

  get panic(): boolean {
    if (this.#stale) this.#regroup();
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
    if (this.#stale) {
      // For a moment, who has dropped out is passed over; then, or where nobody is left, it is decided anew.
      const target = this.#among(hash, tried, this.#stillUsable);
      if (target !== undefined) return target;
      this.#regroup();
    }
    const only = this.#only;
    if (only !== undefined) return only.inFlight < this.#limit ? only : undefined;
    if (this.#preferred.length === 0) throw this.#nobody();
    return this.#among(hash, tried, this.#limit === Number.POSITIVE_INFINITY ? undefined : this.#usable);
  }

  #among(
    hash: number | undefined,
    tried: readonly Target[] | undefined,
    usable: ((target: Target) => boolean) | undefined,
  ): Target | undefined {
    const now = this.#deps.clock.monotonic();
    if (tried === undefined || tried.length === 0) return this.#balancer.pick(now, hash, usable);
    const fresh = (target: Target): boolean => !tried.includes(target) && (usable?.(target) ?? true);
    return this.#balancer.pick(now, hash, fresh) ?? this.#balancer.pick(now, hash, usable);
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

  targetChanged(): void {
    // What changes together is looked at together, where that is much: a thousand targets may fail in one moment.
    if (this.#targets.length <= FEW) {
      this.#regroup();
      return;
    }
    this.#stale = true;
    this.#stopRegroup ??= this.#deps.clock.setTimeout(() => this.#regroup(), GATHER_MS);
  }

  /** It is the generation in use from now on. */
  activate(): void {
    this.state.owner = this;
    this.#source.check();
    this.#regroup();
  }

  /** Nobody asks it any more. */
  close(): void {
    this.#stopRegroup?.();
    for (const target of this.#targets) target.state.unwatch(this);
    this.deactivate();
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
    this.#stale = false;
    this.#stopRegroup?.();
    this.#stopRegroup = undefined;
    const { targets, panic } = chosen(this.#targets, this.config.panicThreshold);
    this.#preferred = targets;
    this.#only = targets.length === 1 ? targets[0] : undefined;
    this.#panic = panic;
    this.#balancer.update(targets);
    this.#speak();
    if (this.state.queue.length > 0) this.state.queue.advance();
  }

  /** Tells of the upstream as a whole, where that is not what was told last. */
  #speak(): void {
    const { state } = this;
    // Before the first look-up of its names has ended, nothing is known.
    if (state.owner !== this || this.resolving !== undefined) return;
    const { told } = state;
    const available = this.#preferred.length > 0;
    if (told.panic === this.#panic && told.available === available) return;
    const fit = this.#targets.filter((target) => target.state.fit).length;
    const facts = `${fit} of ${this.#targets.length} targets are fit`;
    if (told.panic !== this.#panic) state.report(this.#panic ? "panic" : "panic_over", undefined, facts);
    if (told.available !== available)
      state.report(available ? "available" : "none_available", undefined, facts);
    state.told = { panic: this.#panic, available };
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

/** Targets up to which each change is acted on at once. */
const FEW = 64;

/** Milliseconds for which changes among more are gathered. */
const GATHER_MS = 20;

interface Choice {
  readonly targets: readonly Target[];
  readonly panic: boolean;
}

/**
 * Who is asked: of the first level at which enough are fit, those who can be connected to; where there is none, who was
 * ejected, and after that who cannot be connected to. Where at no level enough are fit it is panic: all of the level at
 * which the most are.
 * @param threshold the share of a level that is enough.
 */
function chosen(targets: readonly Target[], threshold: number): Choice {
  const levels = levelsOf(targets.filter(({ state }) => !state.drained));
  const enough = levels.filter((level) => shareOfFit(level) >= threshold);
  for (const able of [isReachable, isStanding, isFit]) {
    for (const level of enough) {
      const asked = level.filter(able);
      if (asked.length > 0) return { targets: asked, panic: false };
    }
  }
  if (threshold === 0 || levels.length === 0) return { targets: [], panic: false };
  const most = levels.reduce((best, level) => (shareOfFit(level) > shareOfFit(best) ? level : best));
  const reachable = most.filter(({ state }) => !state.unreachable);
  return { targets: reachable.length > 0 ? reachable : most, panic: true };
}

const isFit = ({ state }: Target): boolean => state.fit;
const isReachable = ({ state }: Target): boolean => state.fit && !state.unreachable;
/** Who fails many requests may still answer some, and who cannot be connected to none. */
const isStanding = ({ state }: Target): boolean => state.healthy && !state.unreachable;

function shareOfFit(level: readonly Target[]): number {
  return level.filter(isFit).length / level.length;
}

/** By level, the lowest first. */
function levelsOf(targets: readonly Target[]): readonly (readonly Target[])[] {
  const levels = Map.groupBy(targets, ({ level }) => level);
  return [...levels.keys()].sort((a, b) => a - b).map((level) => levels.get(level)!);
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
    get names() {
      return upstream.names;
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
