/**
 * The candidate that `word` was probably meant to be, or undefined when none is near: at most a third of the
 * word's letters may be wrong (one at least), or the word is the beginning of one candidate, or goes on where one
 * ends. Case and the choice between `-` and `_` do not count as wrong.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const known = [...candidates];
  const wanted = folded(word);
  if (wanted.length > MAX_WORD) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    if (candidate === word || Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, folded(candidate));
    // A word of one or two letters is not near to a wholly different one.
    if (distance < bestDistance && distance < Math.max(wanted.length, candidate.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? onlyCompletion(wanted, known);
}

/** `warning` for `warn`, `dir` for `directory`; undefined where several fit. */
function onlyCompletion(wanted: string, candidates: readonly string[]): string | undefined {
  const fitting = candidates.filter((candidate) => {
    const other = folded(candidate);
    const shorter = Math.min(other.length, wanted.length);
    return shorter > 2 && other !== wanted && (other.startsWith(wanted) || wanted.startsWith(other));
  });
  return fitting.length === 1 ? fitting[0] : undefined;
}

/** Longer words are no typing mistakes, and the distance costs the product of the lengths. */
const MAX_WORD = 100;

function folded(word: string): string {
  return word.toLowerCase().replaceAll("_", "-");
}

/**
 * Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (Damerau–Levenshtein,
 * the restricted form: no letter is edited twice).
 */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
