import type { TargetStatus, TargetView } from "sluice/plugin";
import type { TargetConfig } from "../../config/types.ts";
import { type Balanced, ramp } from "./balance/index.ts";
import type { TargetState } from "./target-state.ts";
import type { Transport } from "./transport.ts";

/** Who is told what became of requests. */
export interface TargetOwner {
  /** A request to one of its targets is over. */
  released(): void;
  /** The upstream's slow start, milliseconds. */
  readonly slowStart: number | undefined;
  /** Monotonic milliseconds. */
  now(): number;
}

/** One address of an upstream, as one generation of the configuration sees it. */
export class Target implements TargetView, Balanced {
  readonly config: TargetConfig;
  readonly state: TargetState;
  readonly transport: Transport;
  readonly weight: number;
  readonly id: string;
  /** Targets of a higher one are asked only while none of a lower one may be. */
  readonly level: number;
  readonly #owner: TargetOwner;

  constructor(config: TargetConfig, state: TargetState, transport: Transport, owner: TargetOwner) {
    this.config = config;
    this.state = state;
    this.transport = transport;
    this.weight = config.weight;
    this.id = state.id;
    // An operator's word weighs more than a record's, whose priorities have 16 bits (RFC 2782).
    this.level = config.priority * 65_536 + (config.recordPriority ?? 0);
    this.#owner = owner;
  }

  get url(): string {
    return this.id;
  }

  get priority(): number {
    return this.config.priority;
  }

  get inFlight(): number {
    return this.state.inFlight;
  }

  get healthy(): boolean {
    return this.state.healthy;
  }

  get available(): boolean {
    return this.state.fit;
  }

  get status(): TargetStatus {
    const { drained, healthy, ejected, unreachable } = this.state;
    if (drained) return "draining";
    if (!healthy) return "unhealthy";
    if (ejected) return "ejected";
    if (unreachable) return "unreachable";
    return this.rampAt(this.#owner.now()) < 1 ? "slow_start" : "available";
  }

  get reason(): string {
    const { status, state } = this;
    if (status === "unhealthy") return state.healthReason;
    if (status === "ejected") return state.ejectReason;
    return status === "unreachable" ? state.unreachableReason : "";
  }

  get latencyMs(): number {
    return this.latencyAt(this.#owner.now());
  }

  get answers(): number {
    return this.state.answers;
  }

  get failures(): number {
    return this.state.failures;
  }

  get ejections(): number {
    return this.state.ejectionCount;
  }

  get connections(): { readonly open: number; readonly idle: number } {
    return this.transport.connections;
  }

  latencyAt(now: number): number {
    return this.state.latency.at(now);
  }

  rampAt(now: number): number {
    const { slowStart } = this.#owner;
    return slowStart === undefined ? 1 : ramp(now - this.state.backAt, slowStart);
  }

  /** A request begins; to be matched by one `release` when its answer is over. */
  acquire(): void {
    this.state.inFlight++;
  }

  release(): void {
    this.state.inFlight--;
    this.#owner.released();
  }
}
