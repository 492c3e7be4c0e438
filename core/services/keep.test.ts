import { expect, test } from "bun:test";
import { createKeep } from "./keep.ts";

const never = (key: string, error: unknown): never => {
  throw new Error(`${key} could not be closed`, { cause: error });
};

test("a value is made once, shared by the generations that use it, and closed with the last", async () => {
  const keep = createKeep();
  const closed: string[] = [];
  let made = 0;
  const take = (scope: ReturnType<typeof keep.scope>) =>
    scope.keep(
      "k",
      () => `value ${++made}`,
      (value) => void closed.push(value),
    );
  const first = keep.scope();
  const second = keep.scope();
  expect([take(first), take(first), take(second)]).toEqual(["value 1", "value 1", "value 1"]);
  await first.release(never);
  expect(closed).toEqual([]);
  // A third generation comes before the second goes: the value survives.
  const third = keep.scope();
  expect(take(third)).toBe("value 1");
  await second.release(never);
  expect(closed).toEqual([]);
  await third.release(never);
  expect(closed).toEqual(["value 1"]);
  expect(take(keep.scope())).toBe("value 2");
});

test("what a generation took last is closed first, and one after the other", async () => {
  const scope = createKeep().scope();
  const events: string[] = [];
  for (const key of ["a", "b"])
    scope.keep(
      key,
      () => key,
      async () => {
        events.push(`${key} closing`);
        await Promise.resolve();
        events.push(`${key} closed`);
      },
    );
  await scope.release(never);
  expect(events).toEqual(["b closing", "b closed", "a closing", "a closed"]);
});

test("a failure to close is told and stops no other; releasing twice closes once", async () => {
  const scope = createKeep().scope();
  const closed: string[] = [];
  const failed: [string, string][] = [];
  scope.keep(
    "good",
    () => 1,
    () => void closed.push("good"),
  );
  scope.keep(
    "bad",
    () => 1,
    () => Promise.reject(new Error("no")),
  );
  scope.keep(
    "worse",
    () => 1,
    () => {
      throw new Error("never");
    },
  );
  scope.keep("plain", () => 1);
  const tell = (key: string, error: unknown): void => void failed.push([key, (error as Error).message]);
  await scope.release(tell);
  await scope.release(tell);
  expect(closed).toEqual(["good"]);
  expect(failed).toEqual([
    ["worse", "never"],
    ["bad", "no"],
  ]);
});

test("what could not be made is made anew by the next who asks", async () => {
  const keep = createKeep();
  const scope = keep.scope();
  expect(() =>
    scope.keep("k", () => {
      throw new Error("no database");
    }),
  ).toThrow("no database");
  expect(scope.keep("k", () => "made")).toBe("made");
  await scope.release(never);
});

test("a generation that is gone is given nothing, for nobody would give it up again", async () => {
  const scope = createKeep().scope();
  await scope.release(never);
  expect(() => scope.keep("k", () => 1)).toThrow("k was asked for after its configuration had gone");
});
