import { setImmediate } from "node:timers/promises";
import { formatProblem } from "../../config/index.ts";
import type { Observer } from "../pipeline/types.ts";
import { installStrayFailureHandlers } from "../plugin-host/stray-failures.ts";
import { type LoadedConfig, loadConfig } from "../runtime/load.ts";
import type { Terminal } from "./command.ts";

/** The configuration, its warnings shown; or undefined after every error was shown. */
export async function loadOrReport(file: string, terminal: Terminal): Promise<LoadedConfig | undefined> {
  const outcome = await loadConfig(file, terminal.env, terminal.builtins);
  const problems = outcome.ok ? outcome.loaded.warnings : outcome.problems;
  for (const problem of problems) terminal.err(formatProblem(problem, terminal.cwd));
  return outcome.ok ? outcome.loaded : undefined;
}

/**
 * `loadOrReport` for commands that look at a configuration and run nothing: what a plugin's file leaves behind at its
 * top level is reported here. The configuration is given back; its plugins are not to be called.
 */
export function lookAt(file: string, terminal: Terminal): Promise<LoadedConfig["config"] | undefined> {
  return withStrays(terminal, async () => {
    const loaded = await loadOrReport(file, terminal);
    // Whose a rejection is must be known when it is told of.
    await setImmediate();
    loaded?.release();
    return loaded?.config;
  });
}

/** Runs `work`, and tells of what plugins leave behind in it. */
export async function withStrays<T>(terminal: Terminal, work: () => Promise<T>): Promise<T> {
  const contained = installStrayFailureHandlers(reportStrays(terminal));
  try {
    return await work();
  } finally {
    // A rejection is told of when the turn that it happened in is over.
    await setImmediate();
    contained();
  }
}

/** Shows failures that nobody waited for, until there is a log to tell of them. */
export function reportStrays(terminal: Terminal): Pick<Observer, "strayFailure"> {
  return {
    strayFailure(plugin, error) {
      const whose = plugin === undefined ? "" : `plugin ${plugin}: `;
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
      terminal.err(`sluice: ${whose}a failure that nobody waited for: ${what}`);
    },
  };
}
