import type { Clock, Random } from "sluice/plugin";
import type { LookUp } from "./dns/index.ts";

/** What upstreams need of the world. */
export interface UpstreamDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly lookUp: LookUp;
}
