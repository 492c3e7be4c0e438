import { type Command, didYouMean, EXIT, type Terminal, UsageError } from "./command.ts";
import { demo } from "./demo.ts";
import { explain } from "./explain.ts";
import { health } from "./health.ts";
import { plugins } from "./plugins.ts";
import { run } from "./run.ts";
import { schema } from "./schema.ts";
import { validate } from "./validate.ts";
import { version } from "./version.ts";

export const COMMANDS: readonly Command[] = [run, demo, validate, explain, schema, plugins, health, version];

/** Other spellings that everybody tries. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["--version", "version"],
  ["--help", "help"],
  ["-h", "help"],
]);

/** Runs a command line (without the program's name) and answers the exit code, whatever happens. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  // A command may wait for nothing but a plugin's promise, which keeps no process alive.
  const awake = setInterval(() => undefined, 3_600_000);
  try {
    return await dispatched(args, terminal);
  } catch (error) {
    terminal.err(`sluice: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return EXIT.defect;
  } finally {
    clearInterval(awake);
  }
}

async function dispatched(args: readonly string[], terminal: Terminal): Promise<number> {
  const [given, ...rest] = args;
  if (given === undefined) {
    terminal.out(overview());
    return EXIT.usage;
  }
  let name = ALIASES.get(given) ?? given;
  const asks = name === "help";
  if (asks) {
    if (rest[0] === undefined) {
      terminal.out(overview());
      return EXIT.ok;
    }
    name = rest[0];
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const hint = didYouMean(
      name,
      COMMANDS.map((candidate) => candidate.name),
    );
    terminal.err(`sluice: there is no command ${JSON.stringify(name)}${hint}\n\n${overview()}`);
    return EXIT.usage;
  }
  if (asks || rest.includes("--help") || rest.includes("-h")) {
    terminal.out(help(command));
    return EXIT.ok;
  }
  try {
    return await command.run(rest, terminal);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.err(`sluice ${name}: ${error.message}\nusage: sluice ${command.usage}`);
    return EXIT.usage;
  }
}

function overview(): string {
  const lines = COMMANDS.map(({ name, summary }): Row => [name, summary]);
  return `usage: sluice COMMAND [OPTIONS]\n\n${table(lines)}\n\nsluice COMMAND --help shows a command's options.`;
}

function help({ usage, summary, options }: Command): string {
  const lines = Object.entries(options).map(([name, { short, value, meaning }]): Row => {
    const flags = short === undefined ? `--${name}` : `-${short}, --${name}`;
    return [value === undefined ? flags : `${flags} ${value}`, meaning];
  });
  const text = `sluice ${usage}\n\n  ${summary}`;
  return lines.length === 0 ? text : `${text}\n\n${table(lines)}`;
}

type Row = readonly [string, string];

function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([first]) => first.length));
  return rows.map(([first, second]) => `  ${first.padEnd(width)}  ${second}`).join("\n");
}
