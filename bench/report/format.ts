import type { Spread } from "./stats.ts";

/** What stands where there is no figure. */
export const NONE = "–";

/** The last place of three significant ones, but not below a thousandth. */
function placeOf(value: number): number {
  return value === 0 || !Number.isFinite(value)
    ? -3
    : Math.max(-3, Math.floor(Math.log10(Math.abs(value))) - 2);
}

function upTo(place: number, value: number): string {
  if (!Number.isFinite(value)) return NONE;
  const step = 10 ** Math.max(0, place);
  const decimals = Math.max(0, -place);
  const text = (Math.round(Math.abs(value) / step) * step || 0).toLocaleString("en-US");
  const size =
    place >= 0
      ? text
      : Math.abs(value).toLocaleString("en-US", {
          minimumFractionDigits: decimals,
          maximumFractionDigits: decimals,
        });
  return value < 0 && /[1-9]/.test(size) ? `−${size}` : size;
}

/** Three significant digits: "28,400", "41.2", "0.412". */
export function figure(value: number): string {
  return upTo(placeOf(value), value);
}

/** The median and the range around it, to the median's last digit. */
export function spreadParts({ median, min, max }: Spread): readonly [median: string, range: string] {
  const place = placeOf(median);
  const range = min === max || Number.isNaN(median) ? "" : `(${upTo(place, min)}–${upTo(place, max)})`;
  return [upTo(place, median), range];
}

/** "28,400 (27,900–28,800)". */
export function spread(of: Spread): string {
  return spreadParts(of).join(" ").trimEnd();
}

/** Two digits behind the point: "0.62". */
export function ratio(value: number): string {
  return upTo(-2, value);
}

/** A change as a share of what was before: "+11.6 %". */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return NONE;
  return `${share > 0 ? "+" : ""}${upTo(Math.abs(share) >= 1 ? 0 : -1, share * 100)} %`;
}

/** "+1.02". */
export function signed(value: number): string {
  return `${value > 0 ? "+" : ""}${figure(value)}`;
}

/** A figure with its unit, which stands close to it where it is a sign: "0.62×", "38 µs". */
export function withUnit(value: string, unit: string): string {
  return /^[\p{L}%]/u.test(unit) ? `${value} ${unit}` : `${value}${unit}`;
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** ISO 8601 in UTC, to the second: "2030-05-04 10:20:30 UTC". */
export function moment(iso: string): string {
  return `${iso.replace("T", " ").replace(/(\.\d+)?Z$/, "")} UTC`;
}

/** "1 round", "5 rounds". */
export function counted(count: number, what: string): string {
  return `${count.toLocaleString("en-US")} ${what}${count === 1 ? "" : "s"}`;
}

/** "a", "a and b", "a, b and c". */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** A command as it can be put into a shell. */
export function shell(command: readonly string[]): string {
  return command
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}
