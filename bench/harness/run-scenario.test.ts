import { expect, test } from "bun:test";
import { temporaryDir } from "../../core/testing/temporary-dir.ts";
import type { Case, Origin, Scenario, Target } from "../scenario.ts";
import type { Contender } from "./contenders.ts";
import { runScenario } from "./run-scenario.ts";

const ORIGIN: Origin = { port: 1, command: [], [Symbol.asyncDispose]: () => Promise.resolve() };

/** A program that lives until it is told to end, or so many seconds. */
const living = (name: string, seconds = 60): Contender => ({
  name,
  configure: () => ({ command: ["sleep", String(seconds)] }),
  sluice: "",
});

function scenarioOf(measure: Case["measure"], more: Partial<Scenario> = {}): Scenario {
  return {
    name: "made-up",
    title: "Made up",
    about: "Nothing.",
    service: "none",
    startOrigin: () => Promise.resolve(ORIGIN),
    check: () => Promise.resolve(),
    cases: [{ name: "one", measure }],
    aims: [
      { what: "x", unit: "×", least: 1, value: ({ of }) => of("one", "a", "throughput") },
      { what: "y", unit: "×", least: 1, value: ({ of }) => of("one", "b", "throughput") },
    ],
    ...more,
  };
}

async function run(scenario: Scenario, ...contenders: Contender[]) {
  using dir = temporaryDir();
  const said: string[] = [];
  const plan = { rounds: 3, seconds: 1, warmUp: 1, quick: false, dir: dir.path };
  const result = await runScenario(scenario, contenders, { ...plan, say: (line) => void said.push(line) });
  return { result, said };
}

const counted = (throughput: number) => Promise.resolve({ sample: { throughput }, command: "none" });

test("contenders have their turns, each at a port of its own, and each round a sample of each", async () => {
  const turns: string[] = [];
  const ports = new Set<number>();
  const measure = ({ name, port }: Target) => {
    turns.push(name);
    ports.add(port);
    return counted(turns.length);
  };
  const { result } = await run(scenarioOf(measure), living("a"), living("b"));
  // The warm-up is nobody's sample.
  expect(turns.join("")).toBe("abababab");
  expect(ports.size).toBe(2);
  expect(result.cases[0]!.runs["b"]!.samples).toEqual([4, 6, 8].map((throughput) => ({ throughput })));
  expect(result.aims.map(({ value }) => value)).toEqual([5, 6]);
});

test("whoever fails is out from then on, is ended, and meets no aim", async () => {
  let turns = 0;
  let pid = 0;
  const measure = ({ name, processes }: Target) => {
    if (name !== "a") return counted(7);
    ({ pid } = processes!);
    return ++turns === 3 ? Promise.reject(new Error("it lied")) : counted(9);
  };
  const { result, said } = await run(scenarioOf(measure), living("a"), living("b"));
  expect(result.contenders.map(({ failure }) => failure)).toEqual(["it lied", undefined]);
  expect(said).toContain("a failed: it lied");
  expect(turns).toBe(3);
  expect(isAlive(pid)).toBe(false);
  expect(result.cases[0]!.runs["a"]!.samples).toHaveLength(1);
  expect(result.cases[0]!.runs["b"]!.samples).toHaveLength(3);
  expect(result.aims.map(({ value }) => value)).toEqual([null, 7]);
});

test("what is answered in the place of a process that has ended does not count for it", async () => {
  const measure = async ({ processes }: Target) => {
    while (isAlive(processes!.pid)) await Bun.sleep(5);
    return counted(1);
  };
  // Somebody answers at its port, rightly.
  const { result } = await run(scenarioOf(measure, { warmUp: () => Promise.resolve() }), living("a", 0.1));
  expect(result.contenders[0]!.failure).toBe("it ended (exit code 0)");
  expect(result.cases[0]!.runs).toEqual({});
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
