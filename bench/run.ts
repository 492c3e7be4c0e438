import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../core/e2e/paths.ts";
import { temporaryDir } from "../core/testing/temporary-dir.ts";
import { contendersOf } from "./harness/contenders.ts";
import { thisMachine, versionOf } from "./harness/machine.ts";
import { type Options, parseOptions, USAGE } from "./harness/options.ts";
import { ProcessTree } from "./harness/process-tree.ts";
import { runScenario } from "./harness/run-scenario.ts";
import { endNow } from "./harness/running.ts";
import { loadPeers, type Peer } from "./peer.ts";
import type { Results, ScenarioResult } from "./report/results.ts";
import { writeReport } from "./report/results-file.ts";
import { loadScenarios, type Scenario } from "./scenario.ts";

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  if (args.includes("--help")) return print(USAGE);
  const options = parseOptions(args);
  const [peers, all] = await Promise.all([loadPeers(), loadScenarios()]);
  if (options.needs) return print(needsOf(peers));
  if (options.list) return print(listOf(peers, all));
  const scenarios = chosen(all, options);
  known("peer", peers, options.peers ?? []);
  const taken = peers.find(({ name }) => options.builds.has(name));
  if (taken !== undefined) throw new Error(`${taken.name}=…: there is a peer of this name`);
  for (const binary of [options.sluice, ...options.builds.values()])
    if (!existsSync(binary)) throw new Error(`${binary}: no such file`);

  const begun = performance.now();
  const startedAt = new Date().toISOString();
  // Of what is measured: the tree may move on before the run ends.
  const measured = commit();
  const took = (): number => Math.round((performance.now() - begun) / 1000);
  using dir = temporaryDir();
  leaveNothingBehind(dir);
  const facts = {
    format: 1,
    startedAt,
    command: ["bench/run", ...args].join(" "),
    commit: measured,
    rounds: options.rounds,
    secondsEach: options.seconds,
    warmUpSeconds: options.warmUp,
    machine: thisMachine(),
    versions: await versionsOf(peers, options.sluice),
  } as const;
  const done: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    const contenders = contendersOf(scenario, peers, options);
    const plan = {
      ...options,
      dir: join(dir.path, scenario.name),
      say: (line: string) => console.error(`${took()} s  ${line}`),
    };
    done.push(await runScenario(scenario, contenders, plan));
    // After each: what was measured stays, whatever becomes of the next.
    const results: Results = { ...facts, tookSeconds: took(), scenarios: done };
    await writeReport(results, options.out);
  }
  // They are committed, and what is committed is formatted.
  await Bun.$`${process.execPath} fmt ${options.out}`.quiet().nothrow();
  console.error(`${took()} s  ${options.out}: report.md, chart.svg, results.json`);
  // Without these there is no comparison.
  const needed = ["direct", "sluice"];
  return done.some((one) => one.contenders.some(({ name, failure }) => failure && needed.includes(name)))
    ? 1
    : 0;
}

/** Whoever ends this program ends all that it started: a contender left behind would disturb whatever is measured next. */
function leaveNothingBehind(dir: Disposable): void {
  const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
  for (const [signal, number] of Object.entries(signals))
    process.on(signal, () => {
      for (const pid of new ProcessTree(process.pid).pids().slice(1)) endNow(pid);
      dir[Symbol.dispose]();
      process.exit(128 + number);
    });
}

function print(text: string): number {
  console.log(text.trimEnd());
  return 0;
}

/** "PROGRAM PACKAGE" lines. */
function needsOf(peers: readonly Peer[]): string {
  const needs = peers.flatMap((peer) => Object.entries(peer.needs ?? {}));
  return needs.map((pair) => pair.join(" ")).join("\n");
}

function listOf(peers: readonly Peer[], scenarios: readonly Scenario[]): string {
  const lines = scenarios.map(
    ({ name, title, onDemand }) => `${name.padEnd(20)} ${title}${onDemand ? " (on demand)" : ""}`,
  );
  return ["scenarios", ...lines, "", "peers", ...peers.map(({ name }) => name)].join("\n");
}

function chosen(all: readonly Scenario[], { scenarios: names, quick }: Options): readonly Scenario[] {
  if (names === undefined)
    return all.filter(({ onDemand, cases }) => !onDemand && (!quick || cases.some(({ slow }) => !slow)));
  known("scenario", all, names);
  return all.filter((one) => names.includes(one.name));
}

function known(what: string, all: readonly { readonly name: string }[], names: readonly string[]): void {
  const wrong = names.find((name) => all.every((one) => one.name !== name));
  if (wrong !== undefined)
    throw new Error(`no ${what} called ${wrong}; there are ${all.map(({ name }) => name).join(", ")}`);
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: "pipe" }).trim();
  try {
    const dirty =
      git("status", "--porcelain", "--untracked-files=no", "--", "core", "config", "plugins") !== "";
    return git("rev-parse", "--short=12", "HEAD") + (dirty ? "-dirty" : "");
  } catch {
    return "unknown";
  }
}

async function versionsOf(peers: readonly Peer[], sluice: string): Promise<Record<string, string>> {
  const all = await Promise.all(
    peers.map(async (peer) => [peer.name, await peer.version({ sluice })] as const),
  );
  return {
    ...Object.fromEntries(all.filter(([, version]) => version !== "")),
    bun: Bun.version,
    wrk: await versionOf("wrk", "-v"),
    h2load: await versionOf("h2load", "--version"),
  };
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
