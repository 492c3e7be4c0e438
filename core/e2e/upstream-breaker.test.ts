import { afterAll, beforeAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import type { Said } from "./policy-client.ts";
import { type Kind, KINDS, PolicyWorld } from "./policy-world.ts";

/*
 * The circuit breaker of an upstream that fails and recovers, on the compiled binary with every kind of upstream: its
 * states over time, and exactly as many requests half open as are configured, however many clients ask.
 */

const table = new CaseTable(
  "circuit breaker: consecutive_failures 5, open_for 1s, half_open_requests 3",
  "upstream",
  "states (ms since the first failure)",
  "seen while open",
  "half open",
  "refused",
);
const FAILURES = 5;
const HALF_OPEN = 3;
const CLIENTS = 8;

let world: PolicyWorld;
beforeAll(async () => {
  const breaker = `consecutive_failures: ${FAILURES}, open_for: 1s, half_open_requests: ${HALF_OPEN}`;
  world = await PolicyWorld.start({
    targets: ["a"],
    upstreams: () => ({ broken: `circuit_breaker: { ${breaker} }` }),
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  process.stdout.write(String(table));
});

const isRefused = ({ message }: Said): boolean => message.startsWith("Too many requests have failed");

function expectRefused(said: readonly Said[], { speech }: Kind): void {
  for (const one of said) {
    const { status, reason, retryAfter } = one;
    expect(isRefused(one)).toBe(true);
    expect(Number(retryAfter)).toBe(1);
    expect([status, reason]).toEqual(speech === "grpc" ? ["UNAVAILABLE", ""] : ["503", "circuit_open"]);
  }
}

/**
 * Clients that ask until the circuit is half open and as many requests as may are with the target, which holds them.
 * Those, and how many were refused.
 */
async function untilHalfOpen(
  kind: Kind,
  prefix: string,
): Promise<{ held: Promise<Said[]>; refused: number }> {
  await world.order(kind, "a", { answer: "hold" });
  let over = false;
  const refused: Said[] = [];
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let i = 0; !over; i++) {
      const said = await world.call(kind, "broken", `${prefix}-${client}-${i}`);
      if (!isRefused(said)) return said;
      refused.push(said);
    }
    return undefined;
  });
  await world.order(kind, "a", {}, HALF_OPEN);
  // Everybody asks once more, with room for nobody.
  const more = await world.calls(kind, "broken", `${prefix}-more`, 20, 20);
  over = true;
  refused.push(...more);
  expectRefused(more, kind);
  const { active } = await world.order(kind, "a");
  expect(active).toBe(HALF_OPEN);
  expect(world.seen(kind, prefix).length).toBe(HALF_OPEN);
  expect((await world.upstream(kind, "broken")).circuit).toBe("half-open");
  const held = Promise.all(clients).then((all) => all.filter((said) => said !== undefined));
  return { held, refused: refused.length };
}

async function history(kind: Kind): Promise<void> {
  const row = table.begin(kind.title);
  const states: string[] = [];
  let begun = performance.now();
  const note = async (expected: string): Promise<void> => {
    const { circuit } = await world.upstream(kind, "broken");
    expect(circuit).toBe(expected);
    states.push(`${expected} ${Math.round(performance.now() - begun)}`);
  };

  const good = await world.calls(kind, "broken", "good", 5, 5);
  expect(good.every((said) => said.good)).toBe(true);
  begun = performance.now();
  await note("closed");

  await world.order(kind, "a", { answer: "fail" });
  await world.calls(kind, "broken", "failing", FAILURES, 1);
  await world.event(kind, "broken", "circuit_open");
  await note("open");
  const open = await world.calls(kind, "broken", "open", 20, 20);
  expectRefused(open, kind);
  const whileOpen = world.seen(kind, "open").length;
  expect(whileOpen).toBe(0);

  // The upstream has not recovered: the circuit opens again at once.
  const first = await untilHalfOpen(kind, "first");
  await note("half-open");
  await world.order(kind, "a", { answer: "fail" });
  for (const said of await first.held) expect(said.good).toBe(false);
  await note("open");

  const second = await untilHalfOpen(kind, "second");
  await note("half-open");
  await world.order(kind, "a", { answer: "good" });
  for (const said of await second.held) expect(said.good).toBe(true);
  await world.event(kind, "broken", "circuit_closed");
  await note("closed");
  expect((await world.calls(kind, "broken", "after", 50, 10)).every((said) => said.good)).toBe(true);

  expect(world.events(kind, "broken")).toEqual([
    "circuit_open",
    "circuit_half_open",
    "circuit_open",
    "circuit_half_open",
    "circuit_closed",
  ]);
  row.passed(
    states.join(", "),
    String(whileOpen),
    `${world.seen(kind, "first").length}, ${world.seen(kind, "second").length}`,
    String(open.length + first.refused + second.refused),
  );
}

test("a failing, then recovering upstream", () => Promise.all(KINDS.map(history)));
