import type { Random } from "sluice/plugin";
import type { Balanced, Balancer } from "./balancer.ts";
import { WeightedDraw } from "./weighted-draw.ts";

/** Whether the second choice is to be asked rather than the first. */
export type Better = (second: Balanced, first: Balanced, now: number) => boolean;

/**
 * Who has fewer requests under way, by weight. Targets that have equally many, as idle ones, are asked by their
 * weights, because the first choice stands.
 */
export const leastRequest: Better = (second, first, now) => load(second, now) < load(first, now);

/** Costs that are this close to each other are alike, and weights decide: no two latencies are ever equal. */
const ALIKE = 2 / 3;

/** Milliseconds that are added to both sides: below this it is chance, and not the target, that makes the difference. */
const NOISE = 5;

/** Who will answer sooner. */
export const ewma: Better = (second, first, now) =>
  wait(second, now) + NOISE < ALIKE * (wait(first, now) + NOISE);

function load(target: Balanced, now: number): number {
  return target.inFlight / (target.weight * target.rampAt(now));
}

/** Milliseconds. A target that has never answered but is being asked counts as this slow. */
const UNANSWERED = 3_600_000;

/** How long one more request will take, by the target's latency and those before it. */
function wait(target: Balanced, now: number): number {
  const latency = target.latencyAt(now);
  if (target.inFlight === 0) return latency;
  // Of one that is not known nothing is asked twice before it has answered, where there is another.
  return (latency === 0 ? UNANSWERED : latency) * (load(target, now) + 1);
}

/**
 * The better of two random choices, which comes close to the best of all and never sends everybody to the same target
 * at once (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001).
 */
export class TwoChoices<T extends Balanced> implements Balancer<T> {
  readonly #draw: WeightedDraw<T>;
  readonly #better: Better;

  constructor(random: Pick<Random, "next">, better: Better) {
    this.#draw = new WeightedDraw(random);
    this.#better = better;
  }

  update(targets: readonly T[]): void {
    this.#draw.update(targets);
  }

  pick(now: number, _hash: number | undefined, usable: ((target: T) => boolean) | undefined): T | undefined {
    const first = this.#draw.first(now, usable);
    if (first === undefined) return undefined;
    const second = this.#draw.second(first, now, usable);
    return second !== undefined && this.#better(second, first, now) ? second : first;
  }
}
