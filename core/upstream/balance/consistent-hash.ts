import type { Random } from "sluice/plugin";
import type { Balanced, Balancer } from "./balancer.ts";
import { hashText, mix } from "./hash.ts";
import { WeightedDraw } from "./weighted-draw.ts";

/** Keys are told apart by this many bits of their hash. */
const SLOT_BITS = 16;
const SLOTS = 1 << SLOT_BITS;

/** A target's two hashes: 64 bits together, so that none is like another in every slot. */
const SEEDS = [0x5bd1_e995, 0x1b87_3593] as const;

interface Member<T> {
  target: T;
  readonly id: string;
  readonly weight: number;
  readonly seed: number;
  readonly salt: number;
}

/**
 * Weighted rendezvous hashing: in each of 65,536 slots every target has a random score, skewed by its weight, and the
 * best one owns the slot (D. Thaler, C. Ravishankar, A Name-Based Mapping Scheme for Rendezvous, 1996). A target that
 * leaves moves its own keys and no others; one that joins takes over its share and moves nothing else. Who owns what
 * follows from ids and weights alone, so it is the same in every process and after any history.
 *
 * A slot's owner is found when it is first asked for, and kept.
 */
export class ConsistentHash<T extends Balanced> implements Balancer<T> {
  /** For requests without a key. */
  readonly #draw: WeightedDraw<T>;
  #members = new Map<string, Member<T>>();
  /** In the order of joining; undefined in the place of one that has left. */
  #joined: (Member<T> | undefined)[] = [];
  /** How many of `#joined` a slot has compared. */
  readonly #seen = new Int32Array(SLOTS);
  /** Which of those owns it. */
  readonly #owners = new Int32Array(SLOTS);

  constructor(random: Pick<Random, "next">) {
    this.#draw = new WeightedDraw(random);
  }

  update(targets: readonly T[]): void {
    this.#draw.update(targets);
    const members = new Map<string, Member<T>>();
    for (const target of targets) {
      const { id, weight } = target;
      const known = this.#members.get(id);
      if (known?.weight === weight) {
        known.target = target;
        members.set(id, known);
      } else {
        const [seed, salt] = [hashText(id, SEEDS[0]), hashText(id, SEEDS[1])];
        members.set(id, { target, id, weight, seed, salt });
      }
    }
    this.#settle(members);
  }

  pick(now: number, hash: number | undefined, usable: ((target: T) => boolean) | undefined): T | undefined {
    if (hash === undefined) return this.#draw.first(now, usable);
    const slot = hash & (SLOTS - 1);
    const owner = this.#owner(slot);
    if (owner === undefined) return undefined;
    if ((usable === undefined || usable(owner.target)) && takes(owner, slot, now)) return owner.target;
    // Where slow start holds everybody back that is usable, it holds nobody back.
    return this.#best(slot, now, usable) ?? this.#best(slot, undefined, usable);
  }

  #settle(members: Map<string, Member<T>>): void {
    const joined = this.#joined.map((member) =>
      member && members.get(member.id) === member ? member : undefined,
    );
    const known = new Set(joined);
    for (const member of members.values()) if (!known.has(member)) joined.push(member);
    this.#members = members;
    this.#joined = joined;
    // More gaps than members: a fresh list, and the slots begin anew.
    if (joined.length > 2 * members.size + 16) {
      this.#joined = [...members.values()];
      this.#seen.fill(0);
    }
  }

  /** Compares who has joined since the slot was asked for last; everybody where its owner has left. */
  #owner(slot: number): Member<T> | undefined {
    const joined = this.#joined;
    let seen = this.#seen[slot]!;
    let owner = seen === 0 ? undefined : joined[this.#owners[slot]!];
    if (owner === undefined) seen = 0;
    if (seen === joined.length) return owner;
    let least = owner === undefined ? Number.POSITIVE_INFINITY : costIn(slot, owner);
    for (let i = seen; i < joined.length; i++) {
      const member = joined[i];
      if (member === undefined || !mayPrecede(slot, member, least)) continue;
      const cost = costIn(slot, member);
      if (!precedes(member, cost, owner, least)) continue;
      owner = member;
      least = cost;
      this.#owners[slot] = i;
    }
    this.#seen[slot] = joined.length;
    return owner;
  }

  /** The best in the slot of those that are usable and, with `now`, not held back by slow start. */
  #best(slot: number, now: number | undefined, usable: ((target: T) => boolean) | undefined): T | undefined {
    let best: Member<T> | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const member of this.#members.values()) {
      if (usable !== undefined && !usable(member.target)) continue;
      if (!mayPrecede(slot, member, least)) continue;
      const cost = costIn(slot, member);
      if (!precedes(member, cost, best, least)) continue;
      if (now !== undefined && !takes(member, slot, now)) continue;
      best = member;
      least = cost;
    }
    return best?.target;
  }
}

/** Above 0 and below 1, by chance but always the same for a target and a slot. */
function draw<T>(slot: number, member: Member<T>): number {
  return (mix(mix(slot ^ member.seed) ^ member.salt) + 0.5) / 0x1_0000_0000;
}

/** The lowest owns the slot: exponentially distributed with the weight as its rate, hence lowest in proportion to it. */
function costIn<T>(slot: number, member: Member<T>): number {
  return -Math.log(draw(slot, member)) / member.weight;
}

/** False where the cost is above `least` for sure, because -ln x > 1 - x: mostly, and no logarithm need be taken. */
function mayPrecede<T>(slot: number, member: Member<T>, least: number): boolean {
  return 1 - draw(slot, member) <= least * member.weight;
}

function precedes<T>(a: Member<T>, costOfA: number, b: Member<T> | undefined, costOfB: number): boolean {
  return b === undefined || costOfA < costOfB || (costOfA === costOfB && a.id < b.id);
}

/** In slow start, a target takes up its slots one after the other, always in the same order. */
function takes<T extends Balanced>(member: Member<T>, slot: number, now: number): boolean {
  const ramp = member.target.rampAt(now);
  return ramp >= 1 || mix(mix(slot ^ member.salt) ^ member.seed) < ramp * 0x1_0000_0000;
}
