/**
 * Smooth weighted round robin: in every run of as many picks as the weights sum up to, each index comes as often
 * as its weight says, and the picks of one index stand as far apart as they can (weights 3 and 1 give a a b a,
 * never a a a b twice running). Weights need not be whole; the distribution is exact for whole ones.
 */
export class SmoothRoundRobin {
  readonly #weights: readonly number[];
  readonly #total: number;
  readonly #credit: number[];

  /** @param weights above 0 each, one an index */
  constructor(weights: readonly number[]) {
    this.#weights = weights;
    this.#total = weights.reduce((sum, weight) => sum + weight, 0);
    this.#credit = weights.map(() => 0);
  }

  /** The next index, or -1 where there is none. */
  next(): number {
    const weights = this.#weights;
    if (weights.length <= 1) return weights.length - 1;
    const credit = this.#credit;
    let best = 0;
    // Everybody earns their weight; the richest is picked and pays for all.
    for (let i = 0; i < weights.length; i++) {
      credit[i]! += weights[i]!;
      if (credit[i]! > credit[best]!) best = i;
    }
    credit[best]! -= this.#total;
    return best;
  }
}
