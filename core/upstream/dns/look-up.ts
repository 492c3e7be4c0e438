import type { DnsConfig } from "../../../config/types.ts";

/** What is asked of the network. */
export interface Question {
  /** A host's name; the name of SRV records where `srv` says so. */
  readonly name: string;
  readonly srv: boolean;
  readonly family: DnsConfig["family"];
  /** `address:port` each; empty is the system's way. */
  readonly servers: readonly string[];
  /** Milliseconds of the whole look-up. */
  readonly timeout: number;
}

/** One address as it was found. */
export interface FoundAddress {
  readonly address: string;
  /** These three as the SRV record says (RFC 2782), `weight` from 0; else undefined. */
  readonly port: number | undefined;
  readonly weight: number | undefined;
  readonly priority: number | undefined;
  /** The SRV record's target, lower-case. */
  readonly host?: string | undefined;
}

/** A part of a look-up that came to nothing while others had an answer. */
export interface FailedPart {
  /** The target of the SRV record whose addresses were asked for; undefined where there is no SRV. */
  readonly host: string | undefined;
  readonly family: 4 | 6;
  /** As {@link LookUpError.code}. */
  readonly code: string;
}

export interface LookUpAnswer {
  /** Empty where the name has nothing. */
  readonly addresses: readonly FoundAddress[];
  /** Milliseconds for which the answer holds. */
  readonly ttl: number;
  /** What is not known: the addresses that such a part gave the last time are neither confirmed nor gone. */
  readonly failed?: readonly FailedPart[];
}

/** Asks once. Ends within `question.timeout`; rejects with an error whose `code` says why: {@link LookUpError}. */
export type LookUp = (question: Question) => Promise<LookUpAnswer>;

/** A look-up came to nothing. */
export class LookUpError extends Error {
  /** `ENOTFOUND` or `ENODATA`: the name has nothing. `timeout`, `ESERVFAIL`, `EREFUSED`…: nothing is known. */
  readonly code: string;

  constructor(code: string, name: string) {
    super(`${name} was not found: ${code}`);
    this.name = "LookUpError";
    this.code = code;
  }
}

/** Whether a look-up failed because the name has nothing, which is an answer, or else because nobody answered. */
export function saysNothing(code: string): boolean {
  return code === "ENOTFOUND" || code === "ENODATA";
}

/** The reason in an error, ours or the resolver's. */
export function codeOf(error: unknown): string {
  const code: unknown = (error as { code?: unknown } | null | undefined)?.code;
  if (typeof code !== "string") return "failed";
  return code === "ETIMEOUT" ? "timeout" : code;
}
