/**
 * What moved between two runs of `bench/run`, beyond what chance and the machine move. Exits with 0 where nothing is
 * worse, 1 where something is, 2 where the arguments or the files are no good, or there are too few rounds to say.
 */
import { parseArgs } from "node:util";
import { compareResults, type Pair } from "./report/comparison.ts";
import {
  type Compared,
  jsonComparison,
  markdownComparison,
  plainComparison,
  somethingWorse,
} from "./report/comparison-text.ts";
import { SLUICE } from "./report/contenders.ts";
import type { Results } from "./report/results.ts";
import { readResults } from "./report/read-results.ts";

const USAGE = `bench/compare [--all] [--contender=NAME …] [--markdown | --json] OLD NEW

  OLD, NEW              a results.json, or a folder with one; the same twice to set two contenders against each other
  --contender=NAME      of this contender instead of sluice; may be given more than once
  --contender=OLD:NEW   where it has another name in the new run: sluice:slow
  --all                 of every contender that both runs have
  --markdown, --json    in place of plain text

Exit code: 0 nothing is worse, 1 something is, 2 bad usage, a file that cannot be read,
or too few rounds to say
`;

class UsageError extends Error {}

interface Arguments {
  readonly paths: readonly [string, string];
  readonly pairs: readonly Pair[] | "all";
  readonly show: (compared: Compared) => string;
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        all: { type: "boolean" },
        contender: { type: "string", multiple: true },
        markdown: { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function argumentsOf(args: readonly string[]): Arguments | "help" {
  const { values, positionals } = parsed(args);
  if (values.help) return "help";
  const [old, fresh, ...more] = positionals;
  if (old === undefined || fresh === undefined || more.length > 0)
    throw new UsageError("give two runs, OLD and NEW");
  if (values.all && values.contender) throw new UsageError("--all and --contender exclude each other");
  if (values.markdown && values.json) throw new UsageError("--markdown and --json exclude each other");
  return {
    paths: [old, fresh],
    pairs: values.all ? "all" : (values.contender ?? [SLUICE]).map(pairOf),
    show: values.json ? jsonComparison : values.markdown ? markdownComparison : plainComparison,
  };
}

function pairOf(text: string): Pair {
  const [old, fresh = old, ...more] = text.split(":");
  if (!old || !fresh || more.length > 0) throw new UsageError(`--contender=${text}: not NAME or OLD:NEW`);
  return [old, fresh];
}

function expectContender(path: string, { scenarios }: Results, name: string): void {
  const names = new Set(scenarios.flatMap(({ contenders }) => contenders.map((one) => one.name)));
  if (!names.has(name)) throw new Error(`${path}: no contender ${name}; there are ${[...names].join(", ")}`);
}

async function compare({ paths, pairs, show }: Arguments): Promise<number> {
  const [old, fresh] = await Promise.all([readResults(paths[0]), readResults(paths[1])]);
  for (const [before, after] of pairs === "all" ? [] : pairs) {
    expectContender(paths[0], old, before);
    expectContender(paths[1], fresh, after);
  }
  const comparison = compareResults(old, fresh, pairs);
  // A comparison of nothing would pass for a good one.
  if (comparison.figures.length === 0 && comparison.failures.length === 0)
    throw new Error(`${paths[0]} and ${paths[1]} have no figure in common`);
  console.log(show({ ...comparison, old, fresh }));
  if (somethingWorse(comparison)) return 1;
  if (comparison.figures.some(({ verdict }) => verdict !== "unknown")) return 0;
  throw new Error("nothing can be said: too few rounds");
}

try {
  const args = argumentsOf(process.argv.slice(2));
  if (args === "help") console.log(USAGE);
  else process.exitCode = await compare(args);
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof UsageError) console.error(`\n${USAGE}`);
  process.exitCode = 2;
}
