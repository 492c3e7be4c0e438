import { formatProblem } from "../../config/index.ts";
import { type LoadedConfig, loadConfig } from "../runtime/load.ts";
import type { Terminal } from "./command.ts";

/** The configuration, its warnings shown; or undefined after every error was shown. */
export async function loadOrReport(file: string, terminal: Terminal): Promise<LoadedConfig | undefined> {
  const outcome = await loadConfig(file, terminal.env, terminal.builtins);
  const problems = outcome.ok ? outcome.loaded.warnings : outcome.problems;
  for (const problem of problems) terminal.err(formatProblem(problem, terminal.cwd));
  return outcome.ok ? outcome.loaded : undefined;
}
