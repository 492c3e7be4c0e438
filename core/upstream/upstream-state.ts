import type { Clock, UpstreamEvent } from "sluice/plugin";
import type { NameWatch } from "./dns/index.ts";
import type { HealthCheck } from "./health/index.ts";
import { Shared } from "./shared.ts";
import { TargetQueue } from "./target-queue.ts";
import type { TargetState } from "./target-state.ts";
import type { Transport } from "./transport.ts";

/** A name that is looked up, and who wants to know what comes of it. */
export interface WatchedName {
  readonly watch: NameWatch;
  readonly changed: Set<() => void>;
}

/** A health check that runs, and what it was made of. */
export interface RunningCheck {
  readonly key: string;
  readonly check: HealthCheck;
}

/**
 * What of an upstream outlives a reload, found again by its name: the state and connections of targets that are still
 * there, names, policies whose settings are what they were, and who waits.
 */
export class UpstreamState {
  readonly name: string;
  readonly targets = new Shared<TargetState>();
  readonly connections = new Shared<Transport>();
  readonly names = new Shared<WatchedName>();
  /** Breakers, bulkheads, budgets: by kind and settings. */
  readonly policies = new Shared<unknown>();
  readonly queue: TargetQueue;
  /** By the target's id. They belong to the generation in use. */
  readonly checks = new Map<string, RunningCheck>();
  /** Targets that an operator has drained, by id: also those that are not there at the moment. */
  readonly drained = new Set<string>();
  /** The generation in use: it alone checks health and speaks of the upstream as a whole. */
  owner: object | undefined;
  /** What was told last of the upstream as a whole. */
  told: { readonly panic: boolean; readonly available: boolean } = { panic: false, available: true };
  readonly #emit: (event: UpstreamEvent) => void;

  constructor(name: string, clock: Clock, emit: (event: UpstreamEvent) => void) {
    this.name = name;
    this.queue = new TargetQueue(clock);
    this.#emit = emit;
  }

  report(kind: UpstreamEvent["kind"], target: string | undefined, reason: string): void {
    this.#emit({ upstream: this.name, target, kind, reason });
  }

  /** A policy of these settings; made by the first who asks. To be matched by one `policies.release(key)`. */
  policy<T>(key: string, create: () => T): T {
    // A key belongs to one kind, and a kind to one type.
    return this.policies.acquire(key, create, () => {}) as T;
  }

  stopCheck(id: string): void {
    const running = this.checks.get(id);
    if (running === undefined) return;
    this.checks.delete(id);
    running.check.close();
  }
}
