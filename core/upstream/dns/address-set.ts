import { canonicalAddress } from "../../net/ip-address.ts";
import type { FoundAddress } from "./look-up.ts";

/** One address of a name, ready to become a target. */
export interface ResolvedAddress {
  readonly address: string;
  /** SRV's, else undefined. */
  readonly port: number | undefined;
  /** Above 0, perhaps fractional: the address's part of its SRV record's weight; see {@link addressSet}. */
  readonly weight: number | undefined;
  /** SRV's, else undefined: the lowest is asked first. */
  readonly priority: number | undefined;
}

export interface AddressSet {
  /** Sorted by priority, address and port, whatever order the server gave them in. */
  readonly addresses: readonly ResolvedAddress[];
  /** Whether there were more than {@link MAX_ADDRESSES}. */
  readonly truncated: boolean;
}

/** Addresses of a name; the others, after sorting, are left out. */
export const MAX_ADDRESSES = 1_024;

/**
 * RFC 2782: where records of one priority have weights above 0, one of weight 0 is chosen with a very small chance.
 * It gets 1, and the others so many times their own.
 */
const ZERO_SCALE = 100;

/**
 * What was found as a set: each pair of address and port once, in an order of its own.
 *
 * - An SRV record's weight is divided among the addresses of its target: the record is chosen by it, and then one of
 *   its addresses. Records that lead to the same place add up.
 * - A record of weight 0 gets 1 where another one of its priority has more, whose weights are then multiplied by 100.
 * - A place that has two priorities has the better one, and its weight.
 */
export function addressSet(found: readonly FoundAddress[]): AddressSet {
  const places = new Map<string, ResolvedAddress>();
  for (const { address, port, weight, priority } of shares(distinct(found))) {
    const key = `${address} ${port}`;
    const known = places.get(key);
    // They come by priority: the first is the best.
    if (known === undefined) places.set(key, { address, port, weight, priority });
    else if (known.priority === priority && known.weight !== undefined) {
      places.set(key, { ...known, weight: known.weight + (weight ?? 0) });
    }
  }
  const addresses = [...places.values()];
  return { addresses: addresses.slice(0, MAX_ADDRESSES), truncated: addresses.length > MAX_ADDRESSES };
}

/** Whether two sets, each as {@link addressSet} gives it, are the same. */
export function sameAddresses(one: readonly ResolvedAddress[], other: readonly ResolvedAddress[]): boolean {
  return (
    one.length === other.length &&
    one.every((a, i) => {
      const b = other[i]!;
      return (
        a.address === b.address && a.port === b.port && a.weight === b.weight && a.priority === b.priority
      );
    })
  );
}

/** Each answer once, in an order that depends on nothing but what they are, so that sums of weights do not either. */
function distinct(found: readonly FoundAddress[]): FoundAddress[] {
  const answers = new Map<string, FoundAddress>();
  for (const answer of found) {
    // A zone says which link an address is on, and is part of it when it comes to connecting.
    const address = answer.address.includes("%")
      ? answer.address
      : (canonicalAddress(answer.address) ?? answer.address);
    answers.set(`${address} ${recordOf(answer)}`, { ...answer, address });
  }
  return [...answers.values()].sort(
    (a, b) =>
      (a.priority ?? 0) - (b.priority ?? 0) ||
      compare(a.address, b.address) ||
      (a.port ?? 0) - (b.port ?? 0) ||
      compare(a.host ?? "", b.host ?? "") ||
      (a.weight ?? 0) - (b.weight ?? 0),
  );
}

/** The same with the part of its record's weight that each has. */
function shares(answers: readonly FoundAddress[]): FoundAddress[] {
  const addressesOf = new Map<string, number>();
  const zero = new Set<number | undefined>();
  const positive = new Set<number | undefined>();
  for (const answer of answers) {
    const record = recordOf(answer);
    addressesOf.set(record, (addressesOf.get(record) ?? 0) + 1);
    (answer.weight === 0 ? zero : positive).add(answer.priority);
  }
  return answers.map((answer) => {
    if (answer.weight === undefined) return answer;
    const mixed = zero.has(answer.priority) && positive.has(answer.priority);
    const weight = answer.weight === 0 ? 1 : answer.weight * (mixed ? ZERO_SCALE : 1);
    // Without its target, nobody knows which addresses belong to one record.
    return {
      ...answer,
      weight: answer.host === undefined ? weight : weight / addressesOf.get(recordOf(answer))!,
    };
  });
}

function recordOf({ priority, weight, port, host }: FoundAddress): string {
  return `${priority} ${weight} ${port} ${host}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
