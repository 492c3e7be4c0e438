import type { Clock, Random } from "sluice/plugin";
import type { DnsConfig } from "../../../config/types.ts";
import { addressSet, type ResolvedAddress, sameAddresses } from "./address-set.ts";
import { codeOf, type FoundAddress, type LookUp, type LookUpAnswer, saysNothing } from "./look-up.ts";

/** What is known of a name, kept up to date. */
export interface NameWatch {
  /**
   * What is known now: undefined while the first look-up has not ended, empty where the name has nothing or nothing
   * was ever found. A new array whenever it changes.
   */
  readonly addresses: readonly ResolvedAddress[] | undefined;
  /** Why the last look-up had no answer, or not all of it; cleared by a success: `ENOTFOUND`, `ESERVFAIL`, `timeout`… */
  readonly failure: string | undefined;
  /** Whether the last answer held more addresses than are used (1,024). */
  readonly truncated: boolean;
  /** Resolves when the first look-up has ended, either way, or the watch was closed. */
  readonly first: Promise<void>;
  /** Ends it: nothing is asked any more, and `changed` is not called again. */
  close(): void;
}

export interface NameWatchOptions {
  readonly name: string;
  readonly srv: boolean;
  readonly config: DnsConfig;
  readonly clock: Clock;
  readonly random: Pick<Random, "next">;
  readonly lookUp: LookUp;
  /** Called when the first look-up has ended, when the set of addresses changed, and when `failure` or `truncated` did. */
  changed(): void;
}

/**
 * Looks a name up now, and again whenever what it learnt grows old: when the TTL ends, within the bounds of
 * `config`, or up to a twentieth before; after a failure in 1 s, then 2 s and so on up to 30 s, or up to a quarter
 * before. One look-up at a time.
 *
 * Addresses once found are not lost by failures. A look-up that fails (timeout, SERVFAIL, REFUSED…) says nothing about
 * them: they stay for as long as it goes on. That there are none (NXDOMAIN, an empty answer, SRV's target `.`) is
 * believed when it was said three times running, which takes some three seconds.
 */
export function watchName(options: NameWatchOptions): NameWatch {
  return new Watch(options);
}

/** Times running that a name must have nothing before its addresses are given up. */
const EMPTY_ANSWERS = 3;
const RETRY_FIRST = 1_000;
const RETRY_MOST = 30_000;
/** Parts by which a wait may be shorter, so that many gateways do not ask at the same moment. */
const TTL_JITTER = 0.05;
const RETRY_JITTER = 0.25;

class Watch implements NameWatch {
  addresses: readonly ResolvedAddress[] | undefined;
  failure: string | undefined;
  truncated = false;
  readonly first: Promise<void>;
  readonly #options: NameWatchOptions;
  readonly #firstEnded: () => void;
  #found: readonly FoundAddress[] = [];
  /** Look-ups without a full answer since the last that had one, and how many of the latest said that there is nothing. */
  #failures = 0;
  #empty = 0;
  #closed = false;
  #stopWaiting: (() => void) | undefined;

  constructor(options: NameWatchOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.first = promise;
    this.#firstEnded = resolve;
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#stopWaiting?.();
    this.#firstEnded();
  }

  async #look(): Promise<void> {
    const { lookUp, name, srv, config } = this.#options;
    const { family, servers, timeout } = config;
    let answer: LookUpAnswer | undefined;
    let failure: string | undefined;
    try {
      answer = await Promise.try(lookUp, { name, srv, family, servers, timeout });
    } catch (error) {
      failure = codeOf(error);
    }
    if (this.#closed) return;
    const parts = answer?.failed ?? [];
    const known = [...(answer?.addresses ?? []), ...this.#found.filter((one) => isPartOf(one, parts))];
    if (answer !== undefined && known.length > 0) this.#learn(known, answer.ttl, parts[0]?.code);
    else this.#fail(failure ?? parts[0]?.code ?? "ENOTFOUND");
  }

  /** @param failure why the answer is not complete, if so. */
  #learn(found: readonly FoundAddress[], ttl: number, failure: string | undefined): void {
    this.#found = found;
    this.#failures = failure === undefined ? 0 : this.#failures + 1;
    this.#empty = 0;
    const { addresses, truncated } = addressSet(found);
    const { minTtl, maxTtl } = this.#options.config;
    const clamped = Math.max(minTtl, Math.min(maxTtl, Number.isNaN(ttl) ? 0 : ttl));
    const wait = this.#shorter(clamped, TTL_JITTER);
    this.#lookAgainIn(failure === undefined ? wait : Math.min(wait, this.#retryTime()));
    this.#publish(addresses, truncated, failure);
  }

  #fail(failure: string): void {
    this.#failures++;
    // A failure in between says nothing, so it does not speak for there being nothing either.
    this.#empty = saysNothing(failure) ? this.#empty + 1 : 0;
    if (this.#empty >= EMPTY_ANSWERS) this.#found = [];
    const gone = this.#found.length === 0;
    this.#lookAgainIn(this.#retryTime());
    this.#publish(gone ? [] : (this.addresses ?? []), gone ? false : this.truncated, failure);
  }

  #publish(addresses: readonly ResolvedAddress[], truncated: boolean, failure: string | undefined): void {
    const same = this.addresses !== undefined && sameAddresses(this.addresses, addresses);
    if (same && this.truncated === truncated && this.failure === failure) return;
    if (!same) this.addresses = addresses;
    this.truncated = truncated;
    this.failure = failure;
    this.#firstEnded();
    this.#options.changed();
  }

  #retryTime(): number {
    // Beyond five the power only grows out of hand.
    return this.#shorter(
      Math.min(RETRY_MOST, RETRY_FIRST * 2 ** Math.min(this.#failures - 1, 5)),
      RETRY_JITTER,
    );
  }

  #shorter(ms: number, part: number): number {
    return ms * (1 - part * this.#options.random.next());
  }

  #lookAgainIn(ms: number): void {
    this.#stopWaiting = this.#options.clock.setTimeout(() => void this.#look(), ms);
  }
}

/** Whether an address came from one of those parts. */
function isPartOf({ host, address }: FoundAddress, parts: NonNullable<LookUpAnswer["failed"]>): boolean {
  const family = address.includes(":") ? 6 : 4;
  return parts.some((part) => part.host === host && part.family === family);
}
