import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../../core/e2e/paths.ts";

/** What `bench/run` was asked to do. */
export interface Options {
  readonly rounds: number;
  /** Of a case for one contender in one round. */
  readonly seconds: number;
  /** For each contender before a scenario's first round. */
  readonly warmUp: number;
  /** Names; undefined means all that run without being asked for. */
  readonly scenarios: readonly string[] | undefined;
  /** Names of peers; `direct` and `sluice` take part always. */
  readonly peers: readonly string[] | undefined;
  /** Without the cases that are slow. */
  readonly quick: boolean;
  readonly out: string;
  /** The binary called `sluice`. */
  readonly sluice: string;
  /** More binaries, by the names of their contenders. */
  readonly builds: ReadonlyMap<string, string>;
}

export const USAGE = `bench/run [--quick] [--scenario=NAME,…] [--peer=NAME,…] [--rounds=N] [--seconds=S] [--warm-up=S]
          [--out=DIR] [--sluice=BINARY] [--list] [NAME=BINARY …]

  --quick            fewer cases and shorter rounds: everything in under ten minutes
  --scenario         only these; without it all but those that run on demand
  --peer             only these besides direct and sluice
  --rounds           of each case, at least 1; default 5 (fewer cannot be compared)
  --seconds          of one contender in one round; default 2, with --quick 1
  --warm-up          seconds for each contender before the first round; default 4, with --quick 2
  --out              where the report goes; default bench/results
  --sluice           the binary to measure; default dist/sluice
  --list             what there is
  NAME=BINARY        another build of sluice, as a contender of this name
`;

export interface Arguments extends Options {
  readonly list: boolean;
  /** Asked by the script that installs them. */
  readonly needs: boolean;
}

/** @throws Error where the arguments make no sense */
export function parseOptions(args: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      scenario: { type: "string" },
      peer: { type: "string" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string" },
      "warm-up": { type: "string" },
      out: { type: "string", default: join(ROOT, "bench/results") },
      sluice: { type: "string", default: join(ROOT, "dist/sluice") },
      list: { type: "boolean", default: false },
      needs: { type: "boolean", default: false },
    },
  });
  return {
    rounds: whole("--rounds", values.rounds, "rounds"),
    seconds: whole("--seconds", values.seconds ?? (values.quick ? "1" : "2"), "seconds"),
    warmUp: whole("--warm-up", values["warm-up"] ?? (values.quick ? "2" : "4"), "seconds"),
    scenarios: values.scenario?.split(","),
    peers: values.peer?.split(","),
    quick: values.quick,
    out: resolve(values.out),
    sluice: resolve(values.sluice),
    builds: new Map(positionals.map(build)),
    list: values.list,
    needs: values.needs,
  };
}

function build(argument: string): readonly [string, string] {
  const [, name, binary] = /^([^=]+)=(.+)$/.exec(argument) ?? [];
  if (name === undefined || binary === undefined) throw new Error(`${argument}: not NAME=BINARY`);
  return [name, resolve(binary)];
}

/** wrk knows no part of a second. */
function whole(option: string, text: string, what: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 3600)
    throw new Error(`${option}=${text}: not a whole number of ${what}, 1 to 3600`);
  return value;
}
