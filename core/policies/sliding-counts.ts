import type { Clock } from "sluice/plugin";

/** Parts of a window: what leaves it, leaves it a part at a time. */
const PARTS = 10;
/** The window and the part that is being filled. */
const SLOTS = PARTS + 1;

/**
 * Two kinds of events, counted over a window that slides with time. It holds everything of the last `window` milliseconds
 * and of up to a tenth more before that. Counting costs the same whatever the window and however much is counted.
 */
export class SlidingCounts {
  readonly #clock: Pick<Clock, "monotonic">;
  /** Milliseconds. */
  readonly #part: number;
  readonly #counts = new Float64Array(2 * SLOTS);
  /** Which part of all time is being filled. */
  #newest = 0;
  #first = 0;
  #second = 0;

  /** @param window milliseconds. */
  constructor(clock: Pick<Clock, "monotonic">, window: number) {
    this.#clock = clock;
    this.#part = window / PARTS;
  }

  /** Events of the first kind in the window. */
  get first(): number {
    this.#slide();
    return this.#first;
  }

  get second(): number {
    this.#slide();
    return this.#second;
  }

  addFirst(): void {
    const slot = this.#slide();
    this.#counts[slot]!++;
    this.#first++;
  }

  addSecond(): void {
    const slot = this.#slide();
    this.#counts[slot + 1]!++;
    this.#second++;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#first = this.#second = 0;
  }

  /** Lets go of what has left the window. Answers where the newest part's counts are. */
  #slide(): number {
    const now = Math.floor(this.#clock.monotonic() / this.#part);
    const passed = now - this.#newest;
    if (passed >= SLOTS) this.clear();
    else for (let part = this.#newest + 1; part <= now; part++) this.#drop(2 * (part % SLOTS));
    if (passed > 0) this.#newest = now;
    return 2 * (this.#newest % SLOTS);
  }

  #drop(slot: number): void {
    this.#first -= this.#counts[slot]!;
    this.#second -= this.#counts[slot + 1]!;
    this.#counts[slot] = this.#counts[slot + 1] = 0;
  }
}
