import type { Random } from "sluice/plugin";
import type { BalanceAlgorithm } from "../../../config/types.ts";
import type { Balanced, Balancer } from "./balancer.ts";
import { ConsistentHash } from "./consistent-hash.ts";
import { RandomChoice } from "./random.ts";
import { RoundRobin } from "./round-robin.ts";
import { ewma, leastRequest, TwoChoices } from "./two-choices.ts";

export type { Balanced, Balancer } from "./balancer.ts";
export { hashText } from "./hash.ts";
export { LatencyEwma } from "./latency-ewma.ts";
export { ramp } from "./slow-start.ts";

/** A balancer without targets; {@link Balancer.update} gives it some. */
export function createBalancer<T extends Balanced>(
  algorithm: BalanceAlgorithm,
  random: Pick<Random, "next">,
): Balancer<T> {
  switch (algorithm) {
    case "round-robin":
      return new RoundRobin();
    case "random":
      return new RandomChoice(random);
    case "least-request":
      return new TwoChoices(random, leastRequest);
    case "ewma":
      return new TwoChoices(random, ewma);
    case "consistent-hash":
      return new ConsistentHash(random);
  }
}
