import type { Random } from "sluice/plugin";
import type { Balanced } from "./balancer.ts";

/** Draws that may hit somebody who is not to be asked before everybody is looked at. */
const TRIES = 32;

/** Likewise for the second of two choices, which one may do without. */
const SECOND_TRIES = 8;

/**
 * Random choice by weight, and by how far slow start has come. Takes the same time for any number of targets
 * (Walker's alias method, tables by Vose) while most of them are usable, else time in proportion to their number.
 */
export class WeightedDraw<T extends Balanced> {
  readonly #random: Pick<Random, "next">;
  #targets: readonly T[] = [];
  /** Of each place, how much of it is its own target's; the rest is the alias's. */
  #own = new Float64Array(0);
  #alias = new Int32Array(0);

  constructor(random: Pick<Random, "next">) {
    this.#random = random;
  }

  update(targets: readonly T[]): void {
    const count = targets.length;
    const total = targets.reduce((sum, { weight }) => sum + weight, 0);
    const own = Float64Array.from(targets, ({ weight }) => (weight * count) / total);
    const alias = new Int32Array(count);
    const poor: number[] = [];
    const rich: number[] = [];
    for (let i = 0; i < count; i++) (own[i]! < 1 ? poor : rich).push(i);
    // Each poor one's place is filled up by a rich one, who may be poor after that.
    while (poor.length > 0 && rich.length > 0) {
      const low = poor.pop()!;
      const high = rich.at(-1)!;
      alias[low] = high;
      own[high]! -= 1 - own[low]!;
      if (own[high]! < 1) poor.push(rich.pop()!);
    }
    // What is left over on either side is 1 but for rounding.
    for (const i of poor) own[i] = 1;
    this.#targets = [...targets];
    this.#own = own;
    this.#alias = alias;
  }

  /** A target; undefined where nobody is usable. */
  first(now: number, usable: ((target: T) => boolean) | undefined): T | undefined {
    if (this.#targets.length === 0) return undefined;
    for (let i = 0; i < TRIES; i++) {
      const target = this.#any();
      if ((usable === undefined || usable(target)) && this.#takes(target, now)) return target;
    }
    return this.#scan(now, usable);
  }

  /** Another one than `first`; undefined where none is found soon. */
  second(first: T, now: number, usable: ((target: T) => boolean) | undefined): T | undefined {
    const targets = this.#targets;
    const tries = targets.length > 2 ? SECOND_TRIES : targets.length - 1;
    for (let i = 0; i < tries; i++) {
      const target = targets.length > 2 ? this.#any() : targets[targets[0] === first ? 1 : 0]!;
      if (target === first || (usable !== undefined && !usable(target))) continue;
      if (this.#takes(target, now)) return target;
    }
    return undefined;
  }

  #any(): T {
    const at = this.#random.next() * this.#targets.length;
    const place = Math.floor(at);
    return this.#targets[at - place < this.#own[place]! ? place : this.#alias[place]!]!;
  }

  #takes(target: T, now: number): boolean {
    const ramp = target.rampAt(now);
    return ramp >= 1 || this.#random.next() < ramp;
  }

  #scan(now: number, usable: ((target: T) => boolean) | undefined): T | undefined {
    let chosen: T | undefined;
    let total = 0;
    for (const target of this.#targets) {
      if (usable !== undefined && !usable(target)) continue;
      const weight = target.weight * target.rampAt(now);
      total += weight;
      // Each keeps what it has won with the probability that those behind it leave to it.
      if (chosen === undefined || this.#random.next() * total < weight) chosen = target;
    }
    return chosen;
  }
}
