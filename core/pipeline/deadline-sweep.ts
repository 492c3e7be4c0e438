import type { Clock } from "sluice/plugin";

/** How often deadlines are looked at, and so how late one may be noticed, milliseconds. */
const TICK = 50;

/** Something under way that may have a deadline. It is a link of the sweep's list: no allocation to track it. */
export interface Swept {
  before: Swept | undefined;
  after: Swept | undefined;
  /** @param now `clock.monotonic()`. */
  checkDeadline(now: number): void;
}

export interface DeadlineSweep {
  add(item: Swept): void;
  /** Takes an item out that `add` put in; once. */
  remove(item: Swept): void;
}

/**
 * Enforces deadlines without a timer each: one interval looks at everything that is under way. It runs only
 * while something is.
 */
export function createDeadlineSweep(clock: Pick<Clock, "monotonic" | "setInterval">): DeadlineSweep {
  let first: Swept | undefined;
  let stop: (() => void) | undefined;

  function sweep(): void {
    if (first === undefined) {
      stop?.();
      stop = undefined;
      return;
    }
    const now = clock.monotonic();
    // An item that is checked may leave the list.
    for (let item: Swept | undefined = first, next; item !== undefined; item = next) {
      next = item.after;
      item.checkDeadline(now);
    }
  }

  return {
    add(item) {
      item.before = undefined;
      item.after = first;
      if (first !== undefined) first.before = item;
      first = item;
      stop ??= clock.setInterval(sweep, TICK);
    },
    remove(item) {
      if (item.before === undefined) first = item.after;
      else item.before.after = item.after;
      if (item.after !== undefined) item.after.before = item.before;
      item.before = undefined;
      item.after = undefined;
    },
  };
}
