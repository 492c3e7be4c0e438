import { parseArgs, type ParseArgsConfig } from "node:util";
import type { AnyPlugin } from "sluice/plugin";

/** How the process ends; documented in the README. */
export const EXIT = {
  ok: 0,
  /** The configuration is invalid, or a check answered no. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The gateway could not start: a port in use, a file that may not be read. */
  cannotStart: 3,
  /** Shutdown cut requests that had not finished within `shutdown_timeout`. */
  cut: 4,
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
  run(args: readonly string[], terminal: Terminal): Promise<number>;
}

/** Wrong arguments; the message is shown with the command's usage, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

type Options = NonNullable<ParseArgsConfig["options"]>;
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
    // Node's message goes on with advice about "--" that fits no command of ours.
    throw new UsageError(error instanceof Error ? error.message.split(". ")[0]! : String(error));
  }
}

/** `-c FILE`, shared by the commands that read a configuration. */
export const CONFIG_OPTION = { config: { type: "string", short: "c", default: "sluice.yaml" } } as const;
