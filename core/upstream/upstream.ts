import type { UpstreamView } from "sluice/plugin";
import type { UpstreamConfig } from "../../config/types.ts";
import { SmoothRoundRobin } from "./balance.ts";
import { noTarget } from "./failures.ts";
import type { Target } from "./target.ts";

/** A named group of targets that answer the same requests. */
export class Upstream {
  readonly config: UpstreamConfig;
  /** What plugins see of it. */
  readonly view: UpstreamView;
  readonly #targets: readonly Target[];
  readonly #order: SmoothRoundRobin;

  /** @param targets in the order of `config.targets` */
  constructor(config: UpstreamConfig, targets: readonly Target[]) {
    this.config = config;
    this.view = { name: config.name, protocol: config.protocol, targets };
    this.#targets = targets;
    this.#order = new SmoothRoundRobin(targets.map((target) => target.weight));
  }

  /** The target whose turn it is. @throws SluiceError `unavailable`, reason `no_target`, where there is none */
  pick(): Target {
    const target = this.#targets[this.#order.next()];
    if (target === undefined) throw noTarget();
    return target;
  }
}
