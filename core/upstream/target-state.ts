import type { Clock } from "sluice/plugin";
import { LatencyEwma } from "./balance/index.ts";
import type { Ejectable, OutlierRecord } from "./health/index.ts";

/** What a target's state tells of itself. */
export type TargetChange =
  "healthy" | "unhealthy" | "ejected" | "restored" | "unreachable" | "reachable" | "draining" | "undrained";

/** Who wants to know of changes. Told once each, after the state has changed. */
export interface TargetWatcher {
  targetChanged(state: TargetState): void;
}

export interface TargetStateOptions {
  readonly id: string;
  readonly clock: Clock;
  /** Told of each change, first of all. */
  readonly report: (change: TargetChange, reason: string) => void;
  /** Whether the target can be connected to; never rejects. */
  readonly probe: () => Promise<boolean>;
}

/** Milliseconds until a target that could not be connected to is probed: doubled each time, up to the most. */
const FIRST_PROBE = 250;
const LAST_PROBE = 10_000;

/** Failures of a target that is not there, as opposed to one that answers badly. */
const GONE: ReadonlySet<string> = new Set(["connect", "tls", "timeout.connect", "reset"]);

/**
 * What is known of a target, whichever generations of the configuration ask it. It knows nothing of its neighbours:
 * what follows from its state is decided by the upstreams that watch it.
 */
export class TargetState implements Ejectable {
  readonly id: string;
  readonly latency = new LatencyEwma();
  readonly outlier: OutlierRecord = { failures: 0, ejections: 0, returnedAt: 0 };
  /** Requests under way. */
  inFlight = 0;
  answers = 0;
  failures = 0;
  /** Times that it was left out for its failures. */
  ejectionCount = 0;
  /** What its health checks say. */
  healthy = true;
  healthReason = "";
  ejected = false;
  ejectReason = "";
  /** Monotonic milliseconds, while it is ejected. */
  ejectedUntil = 0;
  drained = false;
  /** It could not be connected to: avoided while another may be asked. */
  unreachable = false;
  unreachableReason = "";
  /** Monotonic milliseconds at which it came back, for slow start; `-Infinity` where it was never away. */
  backAt = Number.NEGATIVE_INFINITY;
  readonly #options: TargetStateOptions;
  readonly #watchers = new Set<TargetWatcher>();
  #probes = 0;
  #stopProbe: (() => void) | undefined;
  #stopEjection: (() => void) | undefined;
  #closed = false;

  constructor(options: TargetStateOptions) {
    this.id = options.id;
    this.#options = options;
  }

  /** Whether it may be asked, apart from being avoided. */
  get fit(): boolean {
    return this.healthy && !this.ejected && !this.drained;
  }

  watch(watcher: TargetWatcher): void {
    this.#watchers.add(watcher);
  }

  unwatch(watcher: TargetWatcher): void {
    this.#watchers.delete(watcher);
  }

  setHealth(healthy: boolean, reason: string): void {
    if (this.healthy === healthy) return;
    this.#change(healthy ? "healthy" : "unhealthy", reason, () => {
      this.healthy = healthy;
      this.healthReason = healthy ? "" : reason;
    });
  }

  eject(ms: number, reason: string): void {
    if (this.ejected || this.#closed) return;
    this.#stopEjection = this.#options.clock.setTimeout(() => this.restore("its time is over"), ms);
    this.ejectionCount++;
    this.ejectedUntil = this.#options.clock.monotonic() + ms;
    this.#change("ejected", `${reason}, for ${Math.round(ms / 100) / 10} s`, () => {
      this.ejected = true;
      this.ejectReason = reason;
    });
  }

  /** Takes an ejection back. */
  restore(reason: string): void {
    if (!this.ejected) return;
    this.#stopEjection?.();
    this.#change("restored", reason, () => {
      this.ejected = false;
      this.ejectReason = "";
      this.outlier.failures = 0;
      this.outlier.returnedAt = this.#options.clock.monotonic();
    });
  }

  /** Answers whether that changed anything. */
  drain(drained: boolean, reason: string): boolean {
    if (this.drained === drained) return false;
    this.#change(drained ? "draining" : "undrained", reason, () => {
      this.drained = drained;
    });
    return true;
  }

  /** A connection to it came to nothing. */
  refused(reason: string): void {
    if (this.#closed || this.unreachable) return;
    this.#scheduleProbe();
    this.#change("unreachable", reason, () => {
      this.unreachable = true;
      this.unreachableReason = reason;
    });
  }

  /** It has answered a request. */
  reached(): void {
    if (this.#probes === 0) return;
    this.#probes = 0;
    this.#stopProbe?.();
    this.#stopProbe = undefined;
    this.#reachable("answered");
  }

  /** A health check has got through to it. */
  checked(): void {
    if (this.unreachable) this.#stopProbe?.();
    this.#standsAgain("health check");
  }

  close(): void {
    this.#closed = true;
    this.#stopProbe?.();
    this.#stopEjection?.();
  }

  #scheduleProbe(): void {
    const delay = Math.min(FIRST_PROBE * 2 ** this.#probes++, LAST_PROBE);
    this.#stopProbe = this.#options.clock.setTimeout(() => void this.#probe(), delay);
  }

  async #probe(): Promise<void> {
    const reached = await this.#options.probe();
    if (this.#closed || !this.unreachable) return;
    // The next probe stays as far away: that TCP stands does not say that TLS will.
    if (reached) this.#standsAgain("connected");
    else this.#scheduleProbe();
  }

  /** It was gone, and is not any more: what it was left out for belongs to the past. */
  #standsAgain(reason: string): void {
    this.#reachable(reason);
    if (this.ejected && GONE.has(this.ejectReason)) this.restore(reason);
  }

  #reachable(reason: string): void {
    if (!this.unreachable) return;
    this.#change("reachable", reason, () => {
      this.unreachable = false;
      this.unreachableReason = "";
    });
  }

  #change(change: TargetChange, reason: string, apply: () => void): void {
    const before = this.fit && !this.unreachable;
    apply();
    if (!before && this.fit && !this.unreachable) this.backAt = this.#options.clock.monotonic();
    this.#options.report(change, reason);
    for (const watcher of this.#watchers) watcher.targetChanged(this);
  }
}
