import type { HashKey, RetriesConfig, UpstreamTimeouts } from "../../config/types.ts";
import type { GatewayExchange } from "../pipeline/types.ts";
import { hashText } from "../upstream/balance/index.ts";
import { type FailureMatcher, failureMatcher } from "../upstream/failure-class.ts";
import type { Upstream } from "../upstream/index.ts";
import type { AttemptLimits } from "./attempt.ts";

/** What is known of an upstream before the first request to it. */
export interface Plan {
  readonly upstream: Upstream;
  /** Whether more than one try at one target may be needed, or a wait before it. */
  readonly governed: boolean;
  /** Of a request, for consistent hashing; undefined where nothing of it is hashed. */
  readonly hash: ((x: GatewayExchange) => number | undefined) | undefined;
  readonly retries: RetryPlan | undefined;
  /** Of the one attempt where none of this is. */
  readonly limits: AttemptLimits;
  /** Methods of requests that may be hedged. */
  readonly hedged: ReadonlySet<string>;
}

export interface RetryPlan {
  readonly config: RetriesConfig;
  readonly on: FailureMatcher;
  readonly methods: ReadonlySet<string>;
  /** Those of one try. */
  readonly timeouts: UpstreamTimeouts;
}

export function makePlan(upstream: Upstream): Plan {
  const { balance, hash, retries, hedge, limits, circuitBreaker, bulkhead } = upstream.config;
  return {
    upstream,
    governed:
      retries !== undefined ||
      hedge !== undefined ||
      limits.requests !== undefined ||
      circuitBreaker !== undefined ||
      bulkhead !== undefined,
    hash: balance === "consistent-hash" ? hashOf(hash) : undefined,
    retries: retries && {
      config: retries,
      on: failureMatcher(retries.on),
      methods: new Set(retries.methods),
      timeouts: timeoutsOfTry(upstream.config.timeouts, retries.perTryTimeout),
    },
    limits: { expiresAt: Number.POSITIVE_INFINITY, timeouts: upstream.config.timeouts, once: false },
    hedged: new Set(hedge?.methods),
  };
}

/** What a client takes to send its body is no time of a try: connecting counts, and then the wait for the head. */
function timeoutsOfTry(timeouts: UpstreamTimeouts, perTry = Number.POSITIVE_INFINITY): UpstreamTimeouts {
  if (perTry === Number.POSITIVE_INFINITY) return timeouts;
  const { connect = perTry, firstByte = perTry } = timeouts;
  return { ...timeouts, connect: Math.min(connect, perTry), firstByte: Math.min(firstByte, perTry) };
}

/** The first of the keys that a request has. */
function hashOf(keys: readonly HashKey[]): (x: GatewayExchange) => number | undefined {
  const readers = keys.map(readerOf);
  return (x) => {
    for (const read of readers) {
      const text = read(x);
      if (text !== undefined && text !== "") return hashText(text);
    }
    return undefined;
  };
}

function readerOf(key: HashKey): (x: GatewayExchange) => string | undefined {
  switch (key.from) {
    case "address":
      return (x) => x.clientAddress;
    case "host":
      return (x) => x.request.authority.toLowerCase();
    case "path":
      return (x) => x.request.path;
    case "header": {
      const { name } = key;
      return name === "host"
        ? (x) => x.request.authority.toLowerCase()
        : (x) => x.request.headers.joined(name);
    }
    case "cookie": {
      const { name } = key;
      return (x) => cookieOf(x.request.headers.get("cookie"), name);
    }
    case "query": {
      const { name } = key;
      return (x) => new URLSearchParams(x.request.search).get(name) ?? undefined;
    }
  }
}

/** RFC 6265 §4.2.1: pairs with `; ` between them. */
function cookieOf(cookies: string | undefined, name: string): string | undefined {
  if (cookies === undefined) return undefined;
  for (const pair of cookies.split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
