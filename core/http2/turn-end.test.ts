import { expect, test } from "bun:test";

// In a process of its own: the test runner takes what nobody catches for a failure.
const SCRIPT = `
  import { atTurnEnd } from ${JSON.stringify(import.meta.resolve("./turn-end.ts"))};
  process.on("uncaughtException", (error) => console.log(error.message));
  const says = (text) => ({ turnEnds: () => console.log(text) });
  atTurnEnd(says("first"));
  atTurnEnd({ turnEnds() { throw new Error("broken"); } });
  atTurnEnd(says("third"));
  atTurnEnd(says("fourth"));
`;

test("what one throws at the end of a turn is not lost, and the others have their turn", async () => {
  const child = Bun.spawn([process.execPath, "-e", SCRIPT], { stdout: "pipe", stderr: "pipe" });
  expect((await child.stdout.text()).trim().split("\n").toSorted()).toEqual([
    "broken",
    "first",
    "fourth",
    "third",
  ]);
});
