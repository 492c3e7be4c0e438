import type { Clock } from "sluice/plugin";
import { queueFull, queueTimeout } from "./failures.ts";

/** A request that waits until a target can take it. */
interface Waiter {
  /** Among whose targets it waits: one generation of the upstream. */
  readonly owner: object;
  /** Takes a place on a target, if there is one. */
  readonly place: () => boolean;
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** How often those that wait too long are looked for: nobody waits longer than this beyond the limit. */
const SWEEP_MS = 50;

/**
 * Requests that wait because every target has its full number: first come, first served. After a reload those of the
 * configuration before wait for its targets, and stand in nobody's way.
 */
export class TargetQueue {
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  readonly #held = new Map<object, number>();
  #stopSweep: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get length(): number {
    return this.#waiters.size;
  }

  /** Whether requests wait among the targets of `owner`. */
  holds(owner: object): boolean {
    return this.#held.has(owner);
  }

  /**
   * Waits for a place.
   * @param owner among whose targets.
   * @param place takes one, and answers whether it could; called at once, and whenever a request has ended. What it
   * throws ends the wait.
   * @param onCancel is given a function that ends the wait.
   * @throws SluiceError `unavailable`, reason `overflow`, where the queue is full or the wait too long
   */
  wait(
    owner: object,
    place: () => boolean,
    limits: { readonly queue: number; readonly queueTimeout: number },
    onCancel: (cancel: (reason: unknown) => void) => void,
  ): Promise<void> {
    const before = this.#held.get(owner) ?? 0;
    return new Promise((resolve, reject) => {
      if (before === 0 && place()) {
        resolve();
        return;
      }
      if (before >= limits.queue) {
        reject(queueFull());
        return;
      }
      const deadline = this.#clock.monotonic() + limits.queueTimeout;
      const waiter: Waiter = { owner, place, deadline, resolve, reject };
      this.#waiters.add(waiter);
      this.#held.set(owner, before + 1);
      this.#stopSweep ??= this.#clock.setInterval(() => this.#sweep(), SWEEP_MS);
      onCancel((reason) => {
        if (this.#remove(waiter)) reject(reason);
      });
    });
  }

  /** A target may have room: those that came first go first. */
  advance(): void {
    const stuck = new Set<object>();
    for (const waiter of this.#waiters) {
      if (stuck.has(waiter.owner)) continue;
      let placed: boolean;
      try {
        placed = waiter.place();
      } catch (error) {
        this.#remove(waiter);
        waiter.reject(error);
        continue;
      }
      if (placed) {
        this.#remove(waiter);
        waiter.resolve();
      } else if (stuck.add(waiter.owner).size === this.#held.size) return;
    }
  }

  /** Whether it waited. */
  #remove(waiter: Waiter): boolean {
    if (!this.#waiters.delete(waiter)) return false;
    const left = (this.#held.get(waiter.owner) ?? 1) - 1;
    if (left > 0) this.#held.set(waiter.owner, left);
    else this.#held.delete(waiter.owner);
    return true;
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const waiter of this.#waiters)
      if (now >= waiter.deadline && this.#remove(waiter)) waiter.reject(queueTimeout());
    if (this.#waiters.size > 0) return;
    this.#stopSweep?.();
    this.#stopSweep = undefined;
  }
}
