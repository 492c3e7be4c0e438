/** Share of its weight that a target has at the moment at which it comes back; as Envoy's `min_weight_percent`. */
const LEAST = 0.1;

/**
 * Share of its weight that a target has taken up, from 0.1 at once to 1 after the window, growing evenly.
 * @param sinceMs how long it has been back; `Infinity` where it was never away.
 */
export function ramp(sinceMs: number, windowMs: number): number {
  if (sinceMs >= windowMs) return 1;
  return sinceMs <= 0 ? LEAST : LEAST + (1 - LEAST) * (sinceMs / windowMs);
}
