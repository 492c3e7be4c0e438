/*
 * Durations as `500ms`, `2s`, `1m`, `1h`, `1d`, with decimals (`1.5s`) and in descending parts (`1m30s`).
 */

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

const DURATION =
  /^(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/;

/** The longest that a timer can wait is 2^31 - 1 ms; the last whole day below that. */
export const MAX_DURATION = 24 * 86_400_000;

/** The words for it in errors. */
export const DURATION_EXPECTED = "a duration such as 500ms, 2s, 1m or 1h";

/** For JSON Schema and editors; a little wider than {@link parseDuration}. */
export const DURATION_PATTERN = "^(\\d+(\\.\\d+)?(ms|s|m|h|d))+$";

/** Milliseconds, or undefined for what is no duration: no unit, no whole number of milliseconds, too long. */
export function parseDuration(text: string): number | undefined {
  const milliseconds = measure(text);
  return milliseconds === undefined || milliseconds > MAX_DURATION ? undefined : milliseconds;
}

/** Whether the text is a duration, and longer than {@link MAX_DURATION}. */
export function isTooLong(text: string): boolean {
  return (measure(text) ?? 0) > MAX_DURATION;
}

function measure(text: string): number | undefined {
  if (text === "" || text.length > 64) return undefined;
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  let total = 0;
  for (const [index, [, factor]] of UNITS.entries()) total += Number(match[index + 1] ?? 0) * factor;
  // 1.1 × 1000 and the like miss the whole number by a rounding error of the binary fraction.
  const whole = Math.round(total);
  return Math.abs(total - whole) > 1e-6 ? undefined : whole;
}

/** The shortest form that {@link parseDuration} reads back: 90000 → `1m30s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return "0s";
  let rest = milliseconds;
  let text = "";
  for (const [unit, factor] of UNITS) {
    const count = Math.floor(rest / factor);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * factor;
  }
  return text;
}
