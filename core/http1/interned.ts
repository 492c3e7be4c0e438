import { latin1, TOKEN_LOWER } from "./bytes.ts";
import { KNOWN_NAMES } from "./field-names.ts";

/*
 * Most of what a head says was said by the head before: the same agent, the same types, the same server. Such texts
 * are kept in a table of fixed size, so that the next message that says one makes no string for it: a string costs
 * more to throw away than to find here.
 */

/** Longer ones are rarely repeated, and a table of them would hold much. */
const LONGEST = 64;
const SLOTS = 1024;

const values: string[] = Array.from({ length: SLOTS }, () => "");
const names: string[] = Array.from({ length: SLOTS }, () => "");

/** Fields whose values are secret, or another with each message. */
const UNIQUE = new Set([
  "authorization",
  "cookie",
  "grpc-message",
  "idempotency-key",
  "location",
  "proxy-authorization",
  "referer",
  "sec-websocket-accept",
  "sec-websocket-key",
  "sec-websocket-protocol",
  "set-cookie",
  "traceparent",
  "tracestate",
  "x-amzn-trace-id",
  "x-api-key",
  "x-correlation-id",
  "x-request-id",
  "x-trace-id",
]);

/** By a known name's number: whether its values repeat. */
const REPEATS = Uint8Array.from(KNOWN_NAMES, (name) => (UNIQUE.has(name) ? 0 : 1));

/** The value of a field, given the number of its name, or -1 for one that is not known. */
export function fieldValue(nameId: number, bytes: Uint8Array, start: number, end: number): string {
  return nameId >= 0 && REPEATS[nameId] === 1 ? interned(bytes, start, end) : latin1(bytes, start, end);
}

/** A text that is likely to come again. */
export function interned(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return "";
  if (length > LONGEST) return latin1(bytes, start, end);
  const slot = slotOf(length, bytes[start]!, bytes[start + (length >> 1)]!, bytes[end - 1]!);
  const known = values[slot]!;
  if (known.length === length && isSame(known, bytes, start)) return known;
  return (values[slot] = latin1(bytes, start, end));
}

/** A field's name in lower case. */
export function lowerCaseName(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length > LONGEST) return latin1(bytes, start, end).toLowerCase();
  const middle = TOKEN_LOWER[bytes[start + (length >> 1)]!]!;
  const slot = slotOf(length, TOKEN_LOWER[bytes[start]!]!, middle, TOKEN_LOWER[bytes[end - 1]!]!);
  const known = names[slot]!;
  if (known.length === length && isSameName(known, bytes, start)) return known;
  return (names[slot] = latin1(bytes, start, end).toLowerCase());
}

function slotOf(length: number, first: number, middle: number, last: number): number {
  return (length * 61 + first * 31 + middle * 13 + last * 7) & (SLOTS - 1);
}

function isSame(text: string, bytes: Uint8Array, start: number): boolean {
  // From the end: texts that share a slot tend to begin alike (dates, numbers, agents).
  for (let i = text.length - 1; i >= 0; i--) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}

function isSameName(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = text.length - 1; i >= 0; i--)
    if (text.charCodeAt(i) !== TOKEN_LOWER[bytes[start + i]!]) return false;
  return true;
}
