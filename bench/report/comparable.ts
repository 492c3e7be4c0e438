import type { Machine, Results, ScenarioResult } from "./results.ts";

/** What two runs differ in besides their figures. */
export interface Differences {
  /** What makes their figures hard to compare. */
  readonly warnings: readonly string[];
  /** Whether a contender of a scenario is the same program in both, with the same configuration. */
  comparable(scenario: string, contender: string): boolean;
}

export function differencesOf(old: Results, fresh: Results): Differences {
  const warnings = [
    ...machineWarnings(old.machine, fresh.machine),
    ...changed("seconds a round", old.secondsEach, fresh.secondsEach),
    ...changed("seconds of warm-up", old.warmUpSeconds, fresh.warmUpSeconds),
    ...Object.keys(fresh.versions)
      .filter((program) => program !== "sluice" && old.versions[program] !== undefined)
      .flatMap((program) => changed(`version of ${program}`, old.versions[program], fresh.versions[program])),
  ];
  const different = new Set<string>();
  for (const scenario of fresh.scenarios) {
    const before = old.scenarios.find(({ name }) => name === scenario.name);
    if (before === undefined) continue;
    if (loadOf(before, scenario) !== loadOf(scenario, before))
      warnings.push(`${scenario.name}: another load`);
    if (filesOf(before.origin) !== filesOf(scenario.origin))
      warnings.push(`${scenario.name}: another origin`);
    for (const contender of scenario.contenders) {
      const { name } = contender;
      const then = before.contenders.find((one) => one.name === name);
      if (then === undefined || filesOf(then) === filesOf(contender)) continue;
      different.add(`${scenario.name}/${name}`);
      warnings.push(`${scenario.name}: another configuration of ${name}`);
    }
  }
  return {
    warnings,
    comparable: (scenario, contender) =>
      old.versions[contender] === fresh.versions[contender] && !different.has(`${scenario}/${contender}`),
  };
}

function machineWarnings(old: Machine, fresh: Machine): string[] {
  return (["cpu", "cores", "memoryGiB", "kernel", "system"] as const).flatMap((key) =>
    changed(`machine's ${key}`, old[key], fresh[key]),
  );
}

function changed<T>(what: string, old: T, fresh: T): string[] {
  return old === fresh ? [] : [`${what}: ${String(old)}, now ${String(fresh)}`];
}

/** What is another with each run: ports, and folders that are made for it. */
function steady(text: string): string {
  return text.replaceAll(/\b\d{4,5}\b/g, "N").replaceAll(/\/[^\s"':;]+\//g, "/");
}

function filesOf({ files }: { readonly files: { readonly [name: string]: string } }): string {
  return steady(JSON.stringify(Object.entries(files).toSorted(([a], [b]) => a.localeCompare(b))));
}

/** The commands of the runs that the other has as well. */
function loadOf(one: ScenarioResult, other: ScenarioResult): string {
  const lines = one.cases.flatMap(({ name, runs }) => {
    const theirs = other.cases.find((each) => each.name === name)?.runs ?? {};
    return Object.entries(runs).flatMap(([contender, { command }]) =>
      theirs[contender] === undefined ? [] : [`${name} ${contender} ${steady(command)}`],
    );
  });
  return lines.toSorted().join("\n");
}
