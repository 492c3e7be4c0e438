// Borrowed: it copies without a view of its source, which would be an object more.
const { copy } = Buffer.prototype as Buffer & {
  copy(this: Uint8Array, target: Uint8Array, targetStart: number, start: number, end: number): number;
};

/** Copies `source[start … end)` to `target` from `at` on. Answers how many bytes there were, and room for them. */
export function copyBytes(
  source: Uint8Array,
  target: Uint8Array,
  at: number,
  start: number,
  end: number,
): number {
  return copy.call(source, target, at, start, end);
}
