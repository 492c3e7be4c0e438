import { type Command, EXIT, type Terminal, UsageError } from "./command.ts";
import { demo } from "./demo.ts";
import { explain } from "./explain.ts";
import { health } from "./health.ts";
import { plugins } from "./plugins.ts";
import { run } from "./run.ts";
import { schema } from "./schema.ts";
import { validate } from "./validate.ts";
import { version } from "./version.ts";

export const COMMANDS: readonly Command[] = [run, demo, validate, explain, schema, plugins, health, version];

/** Runs a command line (without the program's name) and answers the exit code. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    terminal.out(overview());
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const command = COMMANDS.find((candidate) => candidate.name === (name === "--version" ? "version" : name));
  if (command === undefined) {
    terminal.err(`sluice: there is no command ${JSON.stringify(name)}\n\n${overview()}`);
    return EXIT.usage;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    terminal.out(`sluice ${command.usage}\n\n  ${command.summary}`);
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
  const width = Math.max(...COMMANDS.map((command) => command.name.length));
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `usage: sluice COMMAND [OPTIONS]\n\n${lines.join("\n")}\n\nsluice COMMAND --help shows a command's options.`;
}
