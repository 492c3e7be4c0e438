let lastMs = Number.NaN;
let lastText = "";

/**
 * A time as log lines say it (RFC 3339, UTC, milliseconds). Under load many lines fall into one millisecond.
 * @param ms since the epoch.
 */
export function isoTime(ms: number): string {
  if (ms !== lastMs) {
    lastMs = ms;
    lastText = new Date(ms).toISOString();
  }
  return lastText;
}
