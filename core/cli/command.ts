import { parseArgs } from "node:util";
import { type AnyPlugin, nearest } from "sluice/plugin";

/** How the process ends; documented in the README. */
export const EXIT = {
  ok: 0,
  /** The configuration is invalid, a check answered no, or the output could not be written. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The gateway could not start: a port in use, a file that may not be read. */
  cannotStart: 3,
  /** Shutdown cut requests that had not finished within `shutdown_timeout`. */
  cut: 4,
  /** A defect of Sluice, whose stack is on stderr: EX_SOFTWARE of sysexits(3). */
  defect: 70,
} as const;

/** What a command may touch; nothing else of the process. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly builtins: readonly AnyPlugin[];
}

export interface Command {
  readonly name: string;
  /** As shown behind `sluice`. */
  readonly usage: string;
  readonly summary: string;
  readonly options: Options;
  run(args: readonly string[], terminal: Terminal): Promise<number>;
}

/** Wrong arguments; the message is shown with the command's usage, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** An option as `parseArgs` takes it, with its line in `--help`. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly default?: string;
  readonly multiple?: boolean;
  /** What stands for the value in `--help`. */
  readonly value?: string;
  readonly meaning: string;
}

export type Options = Readonly<Record<string, Option>>;

type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; allowPositionals: true; strict: true; args: string[] }>
>;

/**
 * The options and words of a command; at most `words` words.
 * @throws UsageError in the words of the command line.
 */
export function parse<T extends Options>(args: readonly string[], options: T, words = 0): Parsed<T> {
  const parsed = parsedOrRefused(args, options);
  const surplus = parsed.positionals[words];
  if (surplus !== undefined) throw new UsageError(`unexpected argument ${JSON.stringify(surplus)}`);
  return parsed;
}

function parsedOrRefused<T extends Options>(args: readonly string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(refusal(error instanceof Error ? error.message : String(error), options));
  }
}

/** Node's words, without the advice behind them, which fits no command of ours. */
function refusal(message: string, options: Options): string {
  const unknown = /^Unknown option '(-[^']*)'/.exec(message)?.[1];
  if (unknown !== undefined) return `unknown option ${unknown}${didYouMean(unknown, flagsOf(options))}`;
  const first = message.split(/\.(?:\s|$)/)[0]!.replace(/is ambiguous$/, "missing");
  return first.charAt(0).toLowerCase() + first.slice(1);
}

const flagsOf = (options: Options): string[] => [...Object.keys(options), "help"].map((name) => `--${name}`);

/** ` (did you mean "validate"?)`, or nothing where no name is near. */
export function didYouMean(word: string, names: Iterable<string>): string {
  const near = nearest(word, names);
  return near === undefined ? "" : ` (did you mean ${JSON.stringify(near)}?)`;
}

/** `-c FILE`, shared by the commands that read a configuration. */
export const CONFIG_OPTION = {
  config: {
    type: "string",
    short: "c",
    default: "sluice.yaml",
    value: "FILE",
    meaning: "the configuration, sluice.yaml by default",
  },
} as const satisfies Options;

/** `--json`, shared by the commands that print facts. */
export const JSON_OPTION = {
  json: { type: "boolean", meaning: "prints JSON, for programs" },
} as const satisfies Options;
