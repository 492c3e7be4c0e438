import type { Balanced, Balancer } from "./balancer.ts";

/** A target's place in the order. Its n-th request is due at `(n + phase) / weight`. */
interface Turn<T> {
  target: T;
  /** In the list of targets; of those due at one time the first goes first. */
  order: number;
  /** 0 until it has a place. */
  weight: number;
  ramp: number;
  /** The deadline times the weight. Counts in whole steps, so that no error adds up. */
  position: number;
  deadline: number;
}

/** How often it is looked at how far slow start has come, milliseconds. */
const LOOK_EVERY = 100;

/** Picks until the deadlines, which only grow, are set back, lest they lose digits. */
const REBASE_AFTER = 1_048_576;

/** Positions are multiples of its inverse, hence their sums exact: who is due at one time stays so for ever. */
const GRAIN = 1_048_576;

function newTurn<T>(target: T, order: number): Turn<T> {
  return { target, order, weight: 0, ramp: 1, position: 0, deadline: 0 };
}

function exact(position: number): number {
  return Math.round(position * GRAIN) / GRAIN;
}

function before<T>(a: Turn<T>, b: Turn<T>): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
}

/**
 * Smooth weighted round robin: in every run of as many picks as the (whole) weights sum up to, each target comes as
 * often as its weight says, and its picks stand about evenly apart (weights 3 and 1 give a a b a). Earliest deadline
 * first: a pick costs the logarithm of the number of targets.
 */
export class RoundRobin<T extends Balanced> implements Balancer<T> {
  #turns = new Map<string, Turn<T>>();
  /** A binary heap: none is before its parent. */
  #heap: Turn<T>[] = [];
  /** The latest deadline that was met. */
  #time = 0;
  /** Monotonic milliseconds; weights and places are settled then. */
  #lookAt = Number.POSITIVE_INFINITY;
  #untilRebase = REBASE_AFTER;

  update(targets: readonly T[]): void {
    const turns = new Map<string, Turn<T>>();
    for (const [order, target] of targets.entries()) {
      const turn = this.#turns.get(target.id) ?? newTurn(target, order);
      turn.target = target;
      turn.order = order;
      turns.set(target.id, turn);
    }
    this.#turns = turns;
    this.#heap = [...turns.values()];
    this.#lookAt = Number.NEGATIVE_INFINITY;
  }

  pick(now: number, _hash: number | undefined, usable: ((target: T) => boolean) | undefined): T | undefined {
    if (now >= this.#lookAt) this.#look(now);
    const at = usable === undefined ? 0 : this.#earliest(usable, 0, -1);
    const turn = this.#heap[at];
    if (turn === undefined) return undefined;
    if (turn.ramp < 1) turn.ramp = turn.target.rampAt(now);
    this.#advance(turn);
    this.#sink(at);
    if (--this.#untilRebase <= 0) this.#rebase();
    return turn.target;
  }

  #advance(turn: Turn<T>): void {
    const time = this.#time;
    turn.position += 1 / turn.ramp;
    const next = turn.position / turn.weight;
    if (turn.deadline >= time) this.#time = turn.deadline;
    // Who could not be asked for long gets the one turn that it has waited for, and not all it has missed.
    else if (next <= time) turn.position = exact(time * turn.weight) + 1 / turn.ramp;
    turn.deadline = turn.position / turn.weight;
  }

  /** Where the first usable one is; what is below one that comes too late need not be looked at. */
  #earliest(usable: (target: T) => boolean, at: number, best: number): number {
    const turn = this.#heap[at];
    if (turn === undefined || (best >= 0 && !before(turn, this.#heap[best]!))) return best;
    if (usable(turn.target)) return at;
    return this.#earliest(usable, 2 * at + 2, this.#earliest(usable, 2 * at + 1, best));
  }

  #sink(at: number): void {
    const heap = this.#heap;
    const turn = heap[at]!;
    let place = at;
    for (let child = 2 * place + 1; child < heap.length; child = 2 * place + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, turn)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = turn;
  }

  /** Gives newcomers a place, and moves whose weight has changed by as much as that says. */
  #look(now: number): void {
    const time = this.#time;
    const phase = phases(this.#heap);
    this.#lookAt = Number.POSITIVE_INFINITY;
    for (const turn of this.#heap) {
      const { weight } = turn.target;
      const ramp = turn.target.rampAt(now);
      if (turn.weight === 0) turn.position = exact(time * weight + phase(weight) / ramp);
      else if (turn.weight !== weight || turn.ramp !== ramp) {
        const ahead = ((turn.deadline - time) * turn.weight * turn.ramp) / ramp;
        turn.position = exact(time * weight + ahead);
      }
      turn.weight = weight;
      turn.ramp = ramp;
      turn.deadline = turn.position / weight;
      if (ramp < 1) this.#lookAt = now + LOOK_EVERY;
    }
    this.#sort();
  }

  #rebase(): void {
    this.#untilRebase = REBASE_AFTER;
    // Whole, so that whole weights' positions stay exact.
    const past = Math.floor(this.#time);
    this.#time -= past;
    for (const turn of this.#heap) {
      turn.position -= past * turn.weight;
      turn.deadline = turn.position / turn.weight;
    }
    this.#sort();
  }

  /** What is sorted is a heap. */
  #sort(): void {
    this.#heap.sort((a, b) => (before(a, b) ? -1 : 1));
  }
}

/** Where in their first round newcomers are put: those of one weight spread evenly over it. */
function phases<T extends Balanced>(turns: readonly Turn<T>[]): (weight: number) => number {
  const counts = new Map<number, number>();
  for (const { weight, target } of turns)
    if (weight === 0) counts.set(target.weight, (counts.get(target.weight) ?? 0) + 1);
  const given = new Map<number, number>();
  return (weight) => {
    const rank = (given.get(weight) ?? 0) + 1;
    given.set(weight, rank);
    return rank / ((counts.get(weight) ?? 0) + 1);
  };
}
