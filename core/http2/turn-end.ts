/** Something that has work to do once when the turn of the event loop ends. */
export interface TurnEnd {
  turnEnds(): void;
}

let due: TurnEnd[] = [];

/**
 * Calls `turnEnds` after everything that this turn of the event loop brings, whichever socket it came from; once for
 * each call. One callback of the platform's serves all.
 */
export function atTurnEnd(who: TurnEnd): void {
  if (due.push(who) === 1) setImmediate(runAll);
}

function runAll(): void {
  const now = due;
  due = [];
  let at = 0;
  try {
    while (at < now.length) now[at++]!.turnEnds();
  } finally {
    // Where one throws, the others have their turn all the same.
    for (; at < now.length; at++) atTurnEnd(now[at]!);
  }
}
