import { BUILT_IN_PLUGINS } from "../plugins/index.ts";
import { runCommandLine } from "./cli/index.ts";

// No top-level await: the bytecode of the compiled binary does not have it.
void runCommandLine(process.argv.slice(2), {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  env: process.env,
  cwd: process.cwd(),
  builtins: BUILT_IN_PLUGINS,
}).then(
  (code) => {
    // Listeners and upstream connections may still be open where a command failed half-way.
    process.exit(code);
  },
  (error: unknown) => {
    process.stderr.write(
      `sluice: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exit(70);
  },
);
