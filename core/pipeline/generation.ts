import type { RouteFacts } from "./router.ts";
import type { Trust } from "../net/trusted-proxies.ts";
import type { ReadyRoute } from "./types.ts";

/**
 * What one configuration made: its routes with their steps set up, from one reload to the next. A request is
 * served by the generation that was current when it came, to its end.
 */
export interface Generation {
  /** The first route in file order that matches. */
  match(facts: RouteFacts): ReadyRoute | undefined;
  /** `trusted_proxies`. */
  readonly trusts: Trust;
  /** A request begins in this generation. */
  retain(): void;
  /** A request is over. After the last one of a generation that was replaced, its plugins are closed. */
  release(): void;
}

/** What a listener answers by itself. */
export interface Probes {
  /** Path of the liveness probe: 200 as long as the process serves. */
  readonly live: string | undefined;
  /** Path of the readiness probe: 503 before the gateway is ready and once it drains. */
  readonly ready: string | undefined;
}
