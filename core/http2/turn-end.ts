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
  for (const who of now) who.turnEnds();
}
