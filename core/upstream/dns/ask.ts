import { promises } from "node:dns";
import type { DnsConfig } from "../../../config/types.ts";
import { codeOf, type FailedPart, LookUpError, saysNothing } from "./look-up.ts";

/** An SRV record (RFC 2782). */
export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** Empty for the root, which says that there is no such service. */
  readonly name: string;
}

/** The addresses of one name. */
export interface Addresses {
  readonly addresses: readonly string[];
  /** Milliseconds; Infinity where there are none. */
  readonly ttl: number;
  /** The families that had no answer while the other had one. */
  readonly failed: readonly Omit<FailedPart, "host">[];
}

/** Milliseconds until a question is sent again, doubled every time; the runtime's resolver ticks in whole seconds. */
const RESEND_AFTER = 1_000;
/** Times that a server is asked. */
const TRIES = 3;

/**
 * The questions of one look-up. The resolver is its own: one that is kept answers from its cache, knows nothing of
 * a changed `/etc/resolv.conf`, and cannot give up one look-up's questions alone.
 */
export class Inquiry {
  readonly #resolver = new promises.Resolver({ timeout: RESEND_AFTER, tries: TRIES });
  #over = false;

  /** @param servers empty for the system's. */
  constructor(servers: readonly string[]) {
    if (servers.length > 0) this.#resolver.setServers(servers);
  }

  /** Gives up what is under way, and lets nothing be asked any more. */
  cancel(): void {
    this.#over = true;
    this.#resolver.cancel();
  }

  /** None where there are none. Fails where nobody answers. */
  async services(name: string): Promise<readonly SrvRecord[]> {
    return this.#ask(name, () => this.#resolver.resolveSrv(name));
  }

  /**
   * None where there are none. Fails where nobody answers: for `auto` to the question for IPv4, which then might
   * exist, or, where there is none, to that for IPv6; for `all` to both.
   */
  async addresses(name: string, family: DnsConfig["family"]): Promise<Addresses> {
    if (family === "ipv4") return this.#family(name, 4);
    if (family === "ipv6") return this.#family(name, 6);
    if (family === "auto") {
      const ipv4 = await this.#family(name, 4);
      return ipv4.addresses.length > 0 ? ipv4 : this.#family(name, 6);
    }
    const families = [4, 6] as const;
    const both = await Promise.allSettled(families.map((one) => this.#family(name, one)));
    const answers = both.filter((one) => one.status === "fulfilled").map(({ value }) => value);
    const failed = both.flatMap((one, i) =>
      one.status === "rejected" ? [{ family: families[i]!, code: codeOf(one.reason) }] : [],
    );
    const found = answers.flatMap(({ addresses }) => addresses);
    // Half an answer that there is nothing is no answer that there is nothing.
    if (found.length === 0 && failed.length > 0) throw new LookUpError(failed[0]!.code, name);
    return { addresses: found, ttl: Math.min(...answers.map(({ ttl }) => ttl)), failed };
  }

  async #family(name: string, family: 4 | 6): Promise<Addresses> {
    const records = await this.#ask(name, () =>
      family === 4
        ? this.#resolver.resolve4(name, { ttl: true })
        : this.#resolver.resolve6(name, { ttl: true }),
    );
    let ttl = Infinity;
    for (const record of records) ttl = Math.min(ttl, record.ttl * 1_000);
    return { addresses: records.map(({ address }) => address), ttl, failed: [] };
  }

  async #ask<T>(name: string, question: () => Promise<readonly T[]>): Promise<readonly T[]> {
    if (this.#over) throw new LookUpError("ECANCELLED", name);
    try {
      return await question();
    } catch (error) {
      const code = codeOf(error);
      if (saysNothing(code)) return [];
      throw new LookUpError(code, name);
    }
  }
}
