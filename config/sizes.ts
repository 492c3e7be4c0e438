/*
 * Sizes as `1KiB`, `64MiB`, `1.5GiB`, `512B`, or a plain number of bytes. The units are powers of 1024 and say so.
 */

const UNITS = { TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, B: 1 } as const;

/** The words for it in errors. */
export const SIZE_EXPECTED = "a size such as 512B, 64KiB or 4MiB";

/** For JSON Schema and editors. */
export const SIZE_PATTERN = "^\\d+(\\.\\d+)?([KMGT]i)?B$|^\\d+$";

/** Bytes, or undefined for what is no size: an unknown unit, no whole number of bytes, beyond 2^53. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,16}(?:\.\d{1,16})?)([KMGT]i)?(B)?$/.exec(text);
  if (match === null) return undefined;
  const [, digits, prefix, suffix] = match;
  // "64Ki" and "1.5" are slips rather than sizes.
  if (suffix === undefined && (prefix !== undefined || digits!.includes("."))) return undefined;
  const bytes = Number(digits) * UNITS[`${prefix ?? ""}B` as keyof typeof UNITS];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `64K`, `64KB`, `64mb` and their like as the size that was probably meant. */
export function meantSize(text: string): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt])i?b?$/i.exec(text);
  const meant = match === null ? undefined : `${match[1]}${match[2]!.toUpperCase()}iB`;
  return meant !== undefined && meant !== text && parseSize(meant) !== undefined ? meant : undefined;
}

/** The largest unit that gives a whole number: 65536 → `64KiB`, 1000 → `1000B`. */
export function formatSize(bytes: number): string {
  for (const [unit, factor] of Object.entries(UNITS)) {
    if (bytes !== 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return `${bytes}B`;
}
