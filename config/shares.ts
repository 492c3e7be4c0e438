/*
 * Shares of a whole as a number from 0 to 1, or as a percentage: `0.5`, `50%`, `12.5%`.
 */

/** The words for it in errors. */
export const SHARE_EXPECTED = "a share such as 0.5 or 50%";

/** For JSON Schema and editors: the form that is text. */
export const SHARE_PATTERN = "^(100(\\.0+)?|\\d{1,2}(\\.\\d+)?)%$";

/** From 0 to 1, or undefined for what is no share of a whole. */
export function parseShare(value: string | number): number | undefined {
  const part = typeof value === "number" ? value : parsePercentage(value);
  return part !== undefined && part >= 0 && part <= 1 ? part : undefined;
}

function parsePercentage(text: string): number | undefined {
  const digits = /^(\d{1,3}(?:\.\d{1,16})?)%$/.exec(text)?.[1];
  // 7 / 100 is not always the number that 0.07 is; the decimal exponent is.
  return digits === undefined ? undefined : Number(`${digits}e-2`);
}

/** `0.2` → `20%`, to twelve digits. */
export function formatShare(share: number): string {
  return `${Number((share * 100).toPrecision(12))}%`;
}
