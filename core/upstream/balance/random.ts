import type { Random } from "sluice/plugin";
import type { Balanced, Balancer } from "./balancer.ts";
import { WeightedDraw } from "./weighted-draw.ts";

/** Anybody, by weight. */
export class RandomChoice<T extends Balanced> implements Balancer<T> {
  readonly #draw: WeightedDraw<T>;

  constructor(random: Pick<Random, "next">) {
    this.#draw = new WeightedDraw(random);
  }

  update(targets: readonly T[]): void {
    this.#draw.update(targets);
  }

  pick(now: number, _hash: number | undefined, usable: ((target: T) => boolean) | undefined): T | undefined {
    return this.#draw.first(now, usable);
  }
}
