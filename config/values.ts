import { nearest, TOKEN } from "sluice/plugin";
import { z } from "zod";
import { ADDRESS_EXPECTED, ADDRESS_PATTERN, parseAddress } from "./address.ts";
import { DURATION_EXPECTED, DURATION_PATTERN, isTooLong, parseDuration } from "./durations.ts";
import { FIELD_VALUE, ITEM_NAME, ITEM_NAME_EXPECTED } from "./names.ts";
import { NETWORK_EXPECTED, parseNetwork } from "./network.ts";
import { Refused, refusalParams, scalar } from "./scalar.ts";
import { parseShare, SHARE_EXPECTED, SHARE_PATTERN } from "./shares.ts";
import { meantSize, parseSize, SIZE_EXPECTED, SIZE_PATTERN } from "./sizes.ts";

/** Milliseconds, above 0. */
export function duration() {
  return scalar(DURATION_EXPECTED, { type: "string", pattern: DURATION_PATTERN }, readDuration);
}

/** Milliseconds above 0, or undefined for `none`. */
export function durationOrNone() {
  const schema = { type: "string", pattern: `${DURATION_PATTERN}|^none$` };
  return scalar(`${DURATION_EXPECTED}, or none`, schema, (value) =>
    value === "none" ? undefined : readDuration(value),
  );
}

function readDuration(value: string | number | boolean): number | Refused {
  if (typeof value === "number") {
    const meant = `${value}s`;
    return new Refused(parseDuration(meant) === undefined ? {} : { suggestion: meant });
  }
  if (typeof value === "boolean") return new Refused();
  const parsed = parseDuration(value);
  if (parsed === 0) return new Refused({ because: "it must be longer than nothing" });
  if (parsed !== undefined) return parsed;
  const spaced = value.replaceAll(/\s+/g, "").toLowerCase();
  if (spaced !== value && parseDuration(spaced) !== undefined) return new Refused({ suggestion: spaced });
  return new Refused(isTooLong(value) ? { because: "it is longer than 24d" } : {});
}

/** Bytes, above 0. */
export function size() {
  const schema = { type: ["string", "integer"], pattern: SIZE_PATTERN, minimum: 1 };
  return scalar(SIZE_EXPECTED, schema, (value) => {
    if (typeof value === "boolean") return new Refused();
    const bytes = parseSize(String(value));
    if (bytes === 0) return new Refused({ because: "it must be more than nothing" });
    const suggestion = typeof value === "string" ? meantSize(value) : undefined;
    return bytes ?? new Refused(suggestion === undefined ? {} : { suggestion });
  });
}

/** A share of a whole, from 0 to 1. `zero` says whether it may be nothing. */
export function share(zero: "allowed" | "refused" = "allowed") {
  const least = zero === "allowed" ? { minimum: 0 } : { exclusiveMinimum: 0 };
  const number = { type: "number", ...least, maximum: 1 };
  const schema = { anyOf: [number, { type: "string", pattern: SHARE_PATTERN }] };
  return scalar(SHARE_EXPECTED, schema, (value) => {
    if (typeof value === "boolean") return new Refused();
    const parsed = parseShare(value);
    if (parsed === 0 && zero === "refused") return new Refused({ because: "it must be more than nothing" });
    if (parsed !== undefined) return parsed;
    // 50 is meant as a percentage; as a share it would be fifty times the whole.
    if (Number(value) > 1 && Number(value) <= 100) return new Refused({ suggestion: `${value}%` });
    const quoted = typeof value === "string" && parseShare(Number(value || NaN)) !== undefined;
    return new Refused(quoted ? { because: "a number stands without quotes" } : {});
  });
}

/** A whole number from `min` to `max`. */
export function count(min: number, max = Number.MAX_SAFE_INTEGER) {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  const schema = { type: "integer", minimum: min, maximum: max };
  return scalar(`a whole number ${range}`, schema, (value) =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max
      ? value
      : new Refused(),
  );
}

/** `host:port` or `unix:/path` as text; the caller parses it with the directory of the file that holds it. */
export function address() {
  return scalar(ADDRESS_EXPECTED, { type: "string", pattern: ADDRESS_PATTERN }, (value) => {
    const parsed = typeof value === "string" ? parseAddress(value, "/") : "it is not of the form host:port";
    return typeof parsed === "string" ? new Refused({ because: parsed }) : String(value);
  });
}

/** A CIDR. */
export function network() {
  return scalar(NETWORK_EXPECTED, { type: "string" }, (value) =>
    typeof value === "string" ? (parseNetwork(value) ?? new Refused()) : new Refused(),
  );
}

/** One of `values`; what `planned` matches is refused as not available yet. */
export function oneOf<const T extends string | number>(values: readonly T[], planned?: RegExp) {
  const shown = values.map((value) => JSON.stringify(value)).join(", ");
  const expected = values.length === 1 ? shown : `one of ${shown}`;
  return scalar(expected, { enum: values }, (value): T | Refused => {
    const found = values.find((known) => known === value);
    if (found !== undefined) return found;
    if (planned?.test(String(value)) === true) return new Refused({ unavailable: true });
    const suggestion = typeof value === "string" ? nearest(value, values.map(String)) : undefined;
    return new Refused(suggestion === undefined ? {} : { suggestion });
  });
}

/** The path of a file as written. */
export function filePath() {
  return scalar("the path of a file", { type: "string", minLength: 1 }, (value) =>
    typeof value === "string" && value !== "" && !value.includes("\0") ? value : new Refused(),
  );
}

/** A name for an upstream, pipeline, plugin, route or step. */
export function itemName() {
  return scalar(ITEM_NAME_EXPECTED, { type: "string", pattern: ITEM_NAME.source }, (value) =>
    typeof value === "string" && ITEM_NAME.test(value) ? value : new Refused(),
  );
}

/** Text that is not empty. */
export function text(expected: string) {
  return scalar(expected, { type: "string", minLength: 1 }, (value) =>
    typeof value === "string" && value !== "" ? value : new Refused(quotedNumber(value)),
  );
}

/** `2` and `true` where text is meant: the same in quotes. */
export function quotedNumber(value: unknown): { suggestion?: string } {
  return typeof value === "number" || typeof value === "boolean" ? { suggestion: String(value) } : {};
}

/** A key of a map of header fields. */
export function fieldName() {
  return z
    .string()
    .refine((name) => TOKEN.test(name), { params: refusalParams({ expected: "a header name" }) });
}

/** What a header field is set to. */
export function fieldValue() {
  return scalar("a header value of printable ASCII", { type: "string" }, (value) => {
    if (typeof value !== "string") return new Refused(quotedNumber(value));
    return FIELD_VALUE.test(value) ? value : new Refused();
  });
}

/** An absolute path that is compared as it is: no pattern, no query. */
export function exactPath() {
  const schema = { type: "string", pattern: "^/[^?#*\\s]*$" };
  return scalar("an absolute path such as /healthz", schema, (value) =>
    typeof value === "string" && /^\/[^?#*\s\\]*$/.test(value) ? value : new Refused(),
  );
}
