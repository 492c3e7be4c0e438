import type { Clock, HeaderList, Random } from "sluice/plugin";
import type { RetriesConfig } from "../../../config/types.ts";
import { backoff, retryAfterOf } from "./backoff.ts";

/**
 * Milliseconds until the next try: the back-off, or what the answer's `Retry-After` asks for where that is more;
 * undefined where it asks for more than will be waited.
 * @param tries that were made.
 * @param headers of the answer; undefined where there was none.
 */
export function nextDelay(
  tries: number,
  config: Pick<RetriesConfig, "backoff" | "maxRetryAfter">,
  headers: HeaderList | undefined,
  { clock, random }: { readonly clock: Pick<Clock, "now">; readonly random: Pick<Random, "next"> },
): number | undefined {
  const delay = backoff(tries, config.backoff, random);
  const asked = retryAfterOf(headers?.get("retry-after"), clock.now());
  if (asked === undefined) return delay;
  return asked > config.maxRetryAfter ? undefined : Math.max(delay, asked);
}
