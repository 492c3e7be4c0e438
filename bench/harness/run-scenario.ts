import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../core/e2e/free-port.ts";
import { ROOT } from "../../core/e2e/paths.ts";
import type { Sample } from "../metric.ts";
import type { Launch } from "../peer.ts";
import type { CaseResult, ContenderResult, ScenarioResult } from "../report/results.ts";
import { mediansOf } from "../report/stats.ts";
import type { Case, Origin, Scenario, Target } from "../scenario.ts";
import type { Contender } from "./contenders.ts";
import { type Running, start } from "./running.ts";

export interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUp: number;
  /** Without the cases that are slow. */
  readonly quick: boolean;
  /** For logs and configurations. */
  readonly dir: string;
  /** Takes a line on how things go. */
  say(line: string): void;
}

/** A contender with what became of it. */
interface Entrant {
  readonly name: string;
  readonly port: number;
  readonly dir: string;
  readonly launch: Launch | null;
  running: Running | undefined;
  failure: string | undefined;
  readonly runs: Map<Case, { command: string; samples: Sample[] }>;
}

/**
 * Every case of a scenario, round by round, the contenders in turn. A contender whose answer is wrong, or who dies, is
 * left out from then on, and the result says why.
 */
export async function runScenario(
  scenario: Scenario,
  contenders: readonly Contender[],
  plan: Plan,
): Promise<ScenarioResult> {
  mkdirSync(plan.dir, { recursive: true });
  await using origin = await scenario.startOrigin(plan.dir);
  // One after another the same port may come twice; who came second would be measured by the answers of the first.
  const ports = new Set<number>();
  while (ports.size < contenders.length) ports.add(freePort());
  const free = [...ports];
  const entrants = contenders.map((one, i) => entrantOf(one, free[i]!, origin, plan.dir));
  try {
    if (scenario.fresh) await freshRounds(scenario, entrants, plan);
    else await rounds(scenario, entrants, plan);
  } finally {
    await Promise.all(entrants.map(stop));
  }
  return resultOf(scenario, origin, entrants, plan);
}

function entrantOf(
  { name, configure, sluice }: Contender,
  port: number,
  origin: Origin,
  parent: string,
): Entrant {
  const dir = join(parent, name.replaceAll(/[^\w.-]+/g, "-"));
  const launch = configure({ port, origin: origin.port, dir, sluice });
  return {
    name,
    port: launch === null ? origin.port : port,
    dir,
    launch,
    running: undefined,
    failure: undefined,
    runs: new Map(),
  };
}

function casesOf({ cases }: Scenario, { quick }: Plan): readonly Case[] {
  const few = quick ? cases.filter((one) => !one.slow) : cases;
  // Asked for by name it runs, however slow it is.
  return few.length > 0 ? few : cases;
}

async function rounds(scenario: Scenario, entrants: readonly Entrant[], plan: Plan): Promise<void> {
  const { check } = scenario;
  const cases = casesOf(scenario, plan);
  for (const one of entrants)
    await attempt(one, plan, async () => {
      one.running =
        one.launch === null ? undefined : await start(one.launch, one.dir, () => check(one.port, one.name));
      await check(one.port, one.name);
      await (scenario.warmUp ?? cases[0]!.measure)(targetOf(one), plan.warmUp);
    });
  for (const [i, each] of cases.entries()) {
    // What the case before has left behind, and connections that are new to everybody.
    if (i > 0)
      for (const one of entrants) await attempt(one, plan, () => each.measure(targetOf(one), plan.seconds));
    for (let round = 1; round <= plan.rounds; round++) {
      plan.say(`${scenario.name}: ${each.name}, round ${round} of ${plan.rounds}`);
      for (const one of entrants) await attempt(one, plan, () => measure(one, each, plan.seconds));
    }
  }
  for (const one of entrants) await attempt(one, plan, () => check(one.port, one.name));
}

async function freshRounds(scenario: Scenario, entrants: readonly Entrant[], plan: Plan): Promise<void> {
  for (let round = 1; round <= plan.rounds; round++) {
    plan.say(`${scenario.name}: round ${round} of ${plan.rounds}`);
    for (const each of casesOf(scenario, plan))
      for (const one of entrants)
        await attempt(one, plan, async () => {
          if (one.launch === null) return;
          await using running = await start(one.launch, one.dir, () => scenario.check(one.port, one.name));
          one.running = running;
          await measure(one, each, plan.seconds);
          one.running = undefined;
        });
  }
}

async function measure(one: Entrant, each: Case, seconds: number): Promise<void> {
  const { sample, command } = await each.measure(targetOf(one), seconds);
  one.running?.expectAlive();
  const before = one.runs.get(each);
  if (before === undefined) one.runs.set(each, { command, samples: [sample] });
  else before.samples.push(sample);
}

function targetOf({ name, port, running }: Entrant): Target {
  return { name, port, processes: running?.processes, startedIn: running?.startedIn ?? 0 };
}

async function attempt(one: Entrant, plan: Plan, action: () => Promise<unknown>): Promise<void> {
  if (one.failure !== undefined) return;
  try {
    await action();
  } catch (error) {
    one.failure = error instanceof Error ? error.message : String(error);
    plan.say(`${one.name} failed: ${one.failure}`);
    await stop(one);
  }
}

async function stop(one: Entrant): Promise<void> {
  const running = one.running;
  one.running = undefined;
  await running?.[Symbol.asyncDispose]();
}

function resultOf(
  scenario: Scenario,
  origin: Origin,
  entrants: readonly Entrant[],
  plan: Plan,
): ScenarioResult {
  const cases = casesOf(scenario, plan).map((each): CaseResult => {
    const runs = entrants.flatMap(({ name, runs: all }) => {
      const run = all.get(each);
      return run === undefined ? [] : [[name, run] as const];
    });
    return { name: each.name, runs: Object.fromEntries(runs) };
  });
  // What somebody reached before failing is shown, but no aim is met by it.
  const failed = new Set(entrants.flatMap(({ name, failure }) => (failure === undefined ? [] : [name])));
  const sound = ({ name, runs }: CaseResult): CaseResult => ({
    name,
    runs: Object.fromEntries(Object.entries(runs).filter(([contender]) => !failed.has(contender))),
  });
  const medians = mediansOf(cases.map(sound));
  return shown(plan.dir, {
    name: scenario.name,
    title: scenario.title,
    about: scenario.about,
    origin: { command: origin.command, files: origin.files ?? {} },
    contenders: entrants.map(({ name, launch, failure }): ContenderResult => ({
      name,
      command: launch?.command ?? [],
      files: launch?.files ?? {},
      ...(failure !== undefined && { failure }),
    })),
    cases,
    aims: (scenario.aims ?? []).map(({ value, ...aim }) => {
      const reached = value(medians);
      return { ...aim, value: Number.isFinite(reached) ? reached : null };
    }),
  });
}

/** Without the paths of this machine: those below the repository's root are relative, the rest is in `$DIR`. */
function shown<Value>(dir: string, value: Value): Value {
  const places = (text: string): string => text.replaceAll(dir, "$DIR").replaceAll(`${ROOT}/`, "");
  const clean = (_key: string, one: unknown): unknown => {
    if (typeof one === "string") return places(one);
    return typeof one === "number" && !Number.isFinite(one) ? undefined : one;
  };
  return JSON.parse(JSON.stringify(value, clean)) as Value;
}
