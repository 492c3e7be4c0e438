import type { Clock } from "sluice/plugin";

/** A clock that stands still until somebody moves it. */
export interface FakeClock extends Clock {
  /**
   * Moves time on by `ms` and runs the timers that fall due, in the order of their times. Before the first and
   * after each of them whatever waits on promises runs on until it waits for time again, so a timer that such
   * code sets is part of the same move.
   */
  advance(ms: number): Promise<void>;
  /** Timers and intervals that wait to run. */
  readonly pending: number;
}

interface Timer {
  due: number;
  readonly callback: () => void;
  /** Undefined for a timer that runs once. */
  readonly every: number | undefined;
}

/** `monotonic()` of a fresh clock: above 0, because 0 reads as "never" in places. */
const MONOTONIC_START = 1_000;

/**
 * A {@link FakeClock} for tests.
 * @param startMs what `now()` answers first. @default 1_700_000_000_000
 */
export function createFakeClock(startMs = 1_700_000_000_000): FakeClock {
  let elapsed = 0;
  // In the order in which they were set: the first of those that are due at one time runs first.
  const timers = new Set<Timer>();

  function schedule(callback: () => void, ms: number, repeats: boolean): () => void {
    // As a real clock does: never at once, and never twice in the same millisecond.
    const delay = Number.isFinite(ms) ? Math.max(ms, repeats ? 1 : 0) : 0;
    const timer: Timer = { due: elapsed + delay, callback, every: repeats ? delay : undefined };
    timers.add(timer);
    return () => void timers.delete(timer);
  }

  function nextDue(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers)
      if (timer.due <= until && (next === undefined || timer.due < next.due)) next = timer;
    return next;
  }

  function fire(timer: Timer): void {
    timers.delete(timer);
    if (timer.every !== undefined) {
      timer.due += timer.every;
      timers.add(timer);
    }
    timer.callback();
  }

  return {
    now: () => startMs + elapsed,
    monotonic: () => MONOTONIC_START + elapsed,
    setTimeout: (callback, ms) => schedule(callback, ms, false),
    setInterval: (callback, ms) => schedule(callback, ms, true),
    get pending() {
      return timers.size;
    },
    async advance(ms) {
      const until = elapsed + ms;
      await settle();
      for (let timer = nextDue(until); timer !== undefined; timer = nextDue(until)) {
        // Two moves may overlap: time never runs backwards.
        elapsed = Math.max(elapsed, timer.due);
        fire(timer);
        await settle();
      }
      elapsed = Math.max(elapsed, until);
    },
  };
}

/** Answers when every promise that could settle by itself has run its reactions. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    // The queue of microtasks is empty before the runtime takes up the next task.
    setImmediate(resolve);
  });
}
