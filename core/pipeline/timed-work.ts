import type { Clock } from "sluice/plugin";
import type { AtWork, ReadyStep } from "./types.ts";

/** A plugin's code at work, and its own time: while it waits for something of somebody else, that stands still. */
export abstract class TimedWork implements AtWork {
  abstract readonly step: ReadyStep | undefined;
  readonly #clock: Pick<Clock, "monotonic">;
  /** Milliseconds up to `#since`. */
  #own = 0;
  /** When it began or went on last. */
  #since: number;
  /** How many waits are under way. */
  #waits = 0;

  /** It begins now. */
  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  pause(): void {
    if (this.#waits++ === 0) this.#own += this.#clock.monotonic() - this.#since;
  }

  resume(): void {
    if (--this.#waits === 0) this.#since = this.#clock.monotonic();
  }

  /** Milliseconds of its own, up to now. */
  get own(): number {
    return this.#waits > 0 ? this.#own : this.#own + this.#clock.monotonic() - this.#since;
  }

  /**
   * Whether it has taken longer than `timeout` milliseconds; never while it waits.
   * @param now `clock.monotonic()`.
   */
  overran(timeout: number, now: number): boolean {
    return this.#waits === 0 && this.#own + now - this.#since > timeout;
  }
}
