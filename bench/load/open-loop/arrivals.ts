import { createSeededRandom } from "../../../core/testing/seeded-random.ts";

/**
 * When requests fall due, milliseconds from the start, whatever becomes of those before.
 * @param perSecond the rate. @param seconds for how long.
 * @param seed of a Poisson process, as independent users make one; undefined for a constant spacing
 */
export function arrivalTimes(perSecond: number, seconds: number, seed?: number): Float64Array {
  const count = Math.round(perSecond * seconds);
  const spacing = 1_000 / perSecond;
  const times = new Float64Array(count);
  if (seed === undefined) {
    for (let i = 0; i < count; i++) times[i] = i * spacing;
    return times;
  }
  const random = createSeededRandom(seed);
  let at = 0;
  for (let i = 0; i < count; i++) {
    times[i] = at;
    // The gaps of a Poisson process are distributed exponentially.
    at -= Math.log(1 - random.next()) * spacing;
  }
  return times;
}
