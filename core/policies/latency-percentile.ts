import type { Clock } from "sluice/plugin";

/** The latencies of an upstream's last answers. */
export interface LatencyWindow {
  /** @param ms of one answer. */
  observe(ms: number): void;
  /**
   * Milliseconds within which a share of the answers was there; some 3 % more or less. Undefined until there were enough
   * of them to say.
   * @param percentile above 0 and below 1: 0.95 for the 95th.
   */
  at(percentile: number): number | undefined;
}

/** Answers below which a percentile says nothing. */
const ENOUGH = 100;
/** Milliseconds that one of the two halves is filled: the window is between one and two of these long. */
const HALF = 30_000;
/** Milliseconds × this are what is counted by: 2³¹ of them are 2.3 hours. */
const UNITS = 256;
/** Steps in each doubling: each is 1/16 of where the doubling begins. */
const STEPS = 16;
const STEP_BITS = 4;
const LONGEST = 2 ** 31 - 1;
const SIZE = slotOf(LONGEST) + 1;

/**
 * A histogram of two halves, of which the older one is forgotten every 30 s. Its steps grow with what they count
 * (hdrhistogram.org), so that it is as precise for microseconds as for hours. To observe costs no memory.
 */
export function createLatencyWindow(clock: Pick<Clock, "monotonic">): LatencyWindow {
  let newer = new Uint32Array(SIZE);
  let older = new Uint32Array(SIZE);
  let newerTotal = 0;
  let olderTotal = 0;
  /** Which half of all time is being filled. */
  let half = Math.floor(clock.monotonic() / HALF);
  /** The last answer of `at`, and how many more observations it holds for. */
  let answered = { percentile: 0, value: 0 };
  let fresh = 0;

  function turn(): void {
    const now = Math.floor(clock.monotonic() / HALF);
    if (now <= half) return;
    [newer, older] = [older, newer];
    newer.fill(0);
    olderTotal = newerTotal;
    newerTotal = 0;
    if (now > half + 1) {
      older.fill(0);
      olderTotal = 0;
    }
    half = now;
    fresh = 0;
  }

  /** The middle of the step in which the answer is that `rank` answers were not slower than. */
  function atRank(rank: number): number {
    let slot = 0;
    for (let seen = newer[0]! + older[0]!; seen < rank; seen += newer[slot]! + older[slot]!) slot++;
    return (startOf(slot) + startOf(slot + 1)) / 2 / UNITS;
  }

  return {
    observe(ms) {
      turn();
      // Not `Math.min` alone: nothing that is no number may get into the tables.
      const units = ms > 0 ? Math.min(ms * UNITS, LONGEST) : 0;
      newer[slotOf(Math.floor(units))]!++;
      newerTotal++;
      fresh--;
    },
    at(percentile) {
      turn();
      const total = newerTotal + olderTotal;
      if (total < ENOUGH) return undefined;
      if (fresh <= 0 || answered.percentile !== percentile) {
        answered = { percentile, value: atRank(Math.max(1, Math.ceil(percentile * total))) };
        // Of many, a few more change little.
        fresh = total / 128;
      }
      return answered.value;
    },
  };
}

/** @param units a whole number from 0 to `LONGEST`. */
function slotOf(units: number): number {
  if (units < STEPS) return units;
  const doubling = 31 - Math.clz32(units) - STEP_BITS;
  return doubling * STEPS + (units >> doubling);
}

/** The smallest number of units that is counted in a slot. */
function startOf(slot: number): number {
  if (slot < 2 * STEPS) return slot;
  const doubling = Math.floor(slot / STEPS) - 1;
  return (slot - doubling * STEPS) * 2 ** doubling;
}
