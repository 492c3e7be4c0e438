import type { Random } from "sluice/plugin";
import { parseHttpDate } from "./http-date.ts";

/**
 * Milliseconds before the next try, with full jitter: evenly from 0 to `base` doubled for every further try, and to `max`
 * at most. Clients that failed together then do not come back together
 * (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter).
 * @param attempt the number of tries that were made, from 1.
 */
export function backoff(
  attempt: number,
  { base, max }: { readonly base: number; readonly max: number },
  random: Pick<Random, "next">,
): number {
  // Bounded, or 0 would become NaN in the end.
  const doublings = Math.min(attempt - 1, 52);
  return random.next() * Math.min(max, base * 2 ** doublings);
}

/** RFC 9111 §1.2.2: what is longer than can be counted is taken for this many seconds. */
const LONGEST = 2 ** 31;

/**
 * What `Retry-After` asks for (RFC 9110 §10.2.3), as seconds or as a date, in milliseconds from `now`; 0 for a date that is
 * past. Undefined where there is no such field, or one that says nothing.
 * @param now milliseconds since the Unix epoch.
 */
export function retryAfterOf(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Math.min(Number(value), LONGEST) * 1000;
  const date = parseHttpDate(value, now);
  return date === undefined ? undefined : Math.max(0, date - now);
}
