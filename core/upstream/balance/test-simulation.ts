import { createSeededRandom } from "sluice/testing";
import type { BalanceAlgorithm } from "../../../config/types.ts";
import { type Balanced, createBalancer, LatencyEwma } from "./index.ts";
import { mix } from "./hash.ts";
import { SimulatedTime } from "./test-simulated-time.ts";

export const ALGORITHMS: BalanceAlgorithm[] = [
  "round-robin",
  "random",
  "consistent-hash",
  "least-request",
  "ewma",
];

/** A target without a service behind it. */
export class FakeTarget implements Balanced {
  readonly id: string;
  readonly weight: number;
  readonly latency = new LatencyEwma();
  inFlight = 0;
  ramp = 1;

  constructor(id: string, weight = 1) {
    this.id = id;
    this.weight = weight;
  }

  latencyAt(now: number): number {
    return this.latency.at(now);
  }

  rampAt(_now: number): number {
    return this.ramp;
  }
}

/** One with a service: requests are served one after the other. */
export class SimulatedTarget extends FakeTarget {
  /** Of one request, the average of exponentially distributed ones. */
  readonly serviceMs: number;
  readonly #time: SimulatedTime;
  readonly #random: () => number;
  #busyUntil = 0;
  asked = 0;

  constructor(time: SimulatedTime, random: () => number, id: string, weight: number, serviceMs: number) {
    super(id, weight);
    this.serviceMs = serviceMs;
    this.#time = time;
    this.#random = random;
  }

  /** Answers how long it will take. */
  ask(): number {
    const { now } = this.#time;
    this.#busyUntil = Math.max(this.#busyUntil, now) + exponential(this.#random, this.serviceMs);
    const ms = this.#busyUntil - now;
    this.asked++;
    this.inFlight++;
    this.#time.after(ms, () => {
      this.inFlight--;
      this.latency.observe(ms, this.#time.now);
    });
    return ms;
  }
}

export interface SimulationOptions {
  readonly algorithm: BalanceAlgorithm;
  readonly targets: readonly { readonly weight: number; readonly serviceMs: number }[];
  readonly requests: number;
  /** Requests in a millisecond, on average; they come at random. */
  readonly rate: number;
  readonly seed?: number;
}

export interface SimulationResult {
  readonly targets: readonly SimulatedTarget[];
  /** Of all requests, milliseconds, from the least to the greatest. */
  readonly latencies: Float64Array;
}

/** Sends requests to simulated targets; each has a key of its own. */
export function simulate({
  algorithm,
  targets,
  requests,
  rate,
  seed = 1,
}: SimulationOptions): SimulationResult {
  const time = new SimulatedTime();
  const random = createSeededRandom(seed).next;
  const simulated = targets.map(
    ({ weight, serviceMs }, i) => new SimulatedTarget(time, random, `http://10.0.0.${i}`, weight, serviceMs),
  );
  const balancer = createBalancer<SimulatedTarget>(algorithm, { next: random });
  const latencies = new Float64Array(requests);
  let sent = 0;
  balancer.update(simulated);
  const arrive = (): void => {
    latencies[sent] = balancer.pick(time.now, mix(sent), undefined)!.ask();
    if (++sent < requests) time.after(exponential(random, 1 / rate), arrive);
  };
  time.after(0, arrive);
  time.run();
  return { targets: simulated, latencies: latencies.sort() };
}

function exponential(random: () => number, mean: number): number {
  return -Math.log(1 - random()) * mean;
}

/** Of sorted numbers. @param share 0 to 1 */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
