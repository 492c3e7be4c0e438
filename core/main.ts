import { BUILT_IN_PLUGINS } from "../plugins/index.ts";
import { runCommandLine } from "./cli/index.ts";
import { processTerminal } from "./cli/process-terminal.ts";

const terminal = processTerminal(BUILT_IN_PLUGINS);
// No top-level await: the bytecode of the compiled binary does not have it.
void runCommandLine(process.argv.slice(2), terminal).then((code) => {
  // Listeners and upstream connections may still be open where a command failed half-way.
  process.exit(terminal.exitCode(code));
});
