import type { Log, UpstreamEvent } from "sluice/plugin";

/** What is worth waking somebody up for, or nearly. */
const WARNINGS: ReadonlySet<UpstreamEvent["kind"]> = new Set([
  "unhealthy",
  "ejected",
  "unreachable",
  "panic",
  "none_available",
  "circuit_open",
  "dns_failed",
]);

const WORDS: Readonly<Record<UpstreamEvent["kind"], string>> = {
  healthy: "a target is healthy again",
  unhealthy: "a target is unhealthy and is left out",
  ejected: "a target fails and is left out",
  restored: "a target that was left out for its failures is asked again",
  unreachable: "a target cannot be connected to and is avoided",
  reachable: "a target can be connected to again",
  draining: "a target is drained: no new request goes to it",
  undrained: "a target is no longer drained",
  added: "a name has a new address",
  removed: "a name has lost an address",
  dns_failed: "a name cannot be looked up",
  dns_recovered: "a name can be looked up again",
  panic: "too few targets are fit: all of them are asked",
  panic_over: "enough targets are fit again",
  none_available: "no target may be asked",
  available: "a target may be asked again",
  circuit_open: "the circuit breaker has opened",
  circuit_half_open: "the circuit breaker lets single requests through",
  circuit_closed: "the circuit breaker has closed",
};

/** The changes of all upstreams: each is logged once, and told to who listens. */
export class UpstreamEvents {
  readonly #log: Log;
  readonly #listeners = new Set<(event: UpstreamEvent) => void>();

  constructor(log: Log) {
    this.#log = log;
  }

  emit(event: UpstreamEvent): void {
    const { upstream, target, kind, reason } = event;
    const level = WARNINGS.has(kind) ? "warn" : "info";
    this.#log[level]({ upstream, target, event: kind, reason }, WORDS[kind]);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#log.error({ upstream, target, event: kind, err: error }, "who listens to upstreams has failed");
      }
    }
  }

  /** Answers a function that takes it back. */
  on(listener: (event: UpstreamEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
