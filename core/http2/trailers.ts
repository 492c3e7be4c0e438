import { isForbiddenTrailer } from "../http1/trailers.ts";

/** A trailer section's fields (name, value, name, value …) without those that may not stand in one. */
export function permittedTrailers(flat: readonly string[]): string[] {
  const permitted: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    if (!isForbiddenTrailer(flat[i]!)) permitted.push(flat[i]!, flat[i + 1]!);
  }
  return permitted;
}
