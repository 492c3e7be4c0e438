import type { TargetView } from "sluice/plugin";
import type { TargetConfig } from "../../config/types.ts";
import type { Transport } from "./transport.ts";

/** What of a target outlives a reload that leaves it as it is. */
export interface TargetState {
  readonly transport: Transport;
  /** Requests under way, those of earlier generations of the configuration counted. */
  inFlight: number;
}

/** One address of an upstream, as one generation of the configuration sees it. */
export class Target implements TargetView {
  readonly config: TargetConfig;
  readonly #state: TargetState;

  constructor(config: TargetConfig, state: TargetState) {
    this.config = config;
    this.#state = state;
  }

  get transport(): Transport {
    return this.#state.transport;
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#state.inFlight;
  }

  get url(): string {
    return this.config.url;
  }

  get weight(): number {
    return this.config.weight;
  }

  get healthy(): boolean {
    return true;
  }

  /** A request begins; to be matched by one `release` when its answer is over. */
  acquire(): void {
    this.#state.inFlight++;
  }

  release(): void {
    this.#state.inFlight--;
  }
}
