import type { Clock } from "sluice/plugin";

type SweepClock = Pick<Clock, "setInterval">;

/** What is looked at again and again, by its clock. */
const sweeps = new WeakMap<SweepClock, SharedSweep>();

/** Milliseconds between two looks: no deadline of a connection fires later than this, and none early. */
const SWEEP_MS = 100;

/** One timer for all who want to look at their deadlines; a thousand pools with one each would keep a core busy. */
class SharedSweep {
  readonly #clock: SweepClock;
  readonly #sweepers = new Set<() => void>();
  #stop: (() => void) | undefined;

  constructor(clock: SweepClock) {
    this.#clock = clock;
  }

  add(sweep: () => void): () => void {
    this.#sweepers.add(sweep);
    this.#stop ??= this.#clock.setInterval(() => {
      // Who is called may leave, and others may come, whose turn is the next.
      for (const one of [...this.#sweepers]) if (this.#sweepers.has(one)) one();
    }, SWEEP_MS);
    return () => {
      this.#sweepers.delete(sweep);
      if (this.#sweepers.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
    };
  }
}

/** Calls `sweep` some ten times a second, until the function that is answered is called. */
export function sweepWith(clock: SweepClock, sweep: () => void): () => void {
  let shared = sweeps.get(clock);
  if (shared === undefined) sweeps.set(clock, (shared = new SharedSweep(clock)));
  return shared.add(sweep);
}
