/*
 * The events of the SSE origin. Each is as long as any other, so that nothing need be formatted or parsed: its number and
 * when it was written stand at fixed places.
 *
 *   id: 000017
 *   data: {"seq":    17,"at":   55555555555555,"text":"…"}
 */

const AHEAD = "id: ";
const NUMBER = 6;
const BETWEEN = '\ndata: {"seq":';
const THEN = ',"at":';
const STAMP = 16;
const BEHIND = ',"text":"the quick brown fox jumps over the lazy"}\n\n';

const ID_AT = AHEAD.length;
const SEQ_AT = ID_AT + NUMBER + BETWEEN.length;
const STAMP_AT = SEQ_AT + NUMBER + THEN.length;

/** Of each event, with the empty line that ends it. */
export const EVENT_BYTES = STAMP_AT + STAMP + BEHIND.length;
/** Their numbers are below this. */
export const MOST_EVENTS = 10 ** NUMBER;

const TEMPLATE = Buffer.from(
  `${AHEAD}${"0".repeat(NUMBER)}${BETWEEN}${" ".repeat(NUMBER)}${THEN}${" ".repeat(STAMP)}${BEHIND}`,
);

/** Writes event `seq` into `target` at `at`. @param stamp nanoseconds of CLOCK_MONOTONIC */
export function writeEvent(target: Buffer, at: number, seq: number, stamp: number): void {
  target.set(TEMPLATE, at);
  writeNumber(target, at + ID_AT + NUMBER, seq);
  writeNumber(target, at + SEQ_AT + NUMBER, seq);
  writeNumber(target, at + STAMP_AT + STAMP, stamp);
}

/** When the event in `bytes` was written; undefined where it is not event `seq`, whole and as it should be. */
export function stampOf(bytes: Buffer, seq: number): number | undefined {
  const stamp = readNumber(bytes, STAMP_AT, STAMP);
  writeEvent(expected, 0, seq, stamp);
  return expected.compare(bytes, 0, EVENT_BYTES) === 0 ? stamp : undefined;
}
const expected = Buffer.alloc(EVENT_BYTES);

/** Writes digits that end before `end`. */
function writeNumber(target: Buffer, end: number, value: number): void {
  let rest = value;
  let at = end;
  do {
    target[--at] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  } while (rest > 0);
}

/** Digits that stand at the end of a field. */
function readNumber(bytes: Buffer, from: number, length: number): number {
  let value = 0;
  for (let i = from; i < from + length; i++) if (bytes[i] !== 32) value = value * 10 + (bytes[i]! - 48);
  return value;
}
