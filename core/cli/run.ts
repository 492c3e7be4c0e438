import { resolve } from "node:path";
import { formatProblem } from "../../config/index.ts";
import { installStrayFailureHandlers } from "../plugin-host/stray-failures.ts";
import type { LoadedConfig } from "../runtime/load.ts";
import { type Runtime, startRuntime, StartError } from "../runtime/runtime.ts";
import { systemClock } from "../services/clock.ts";
import { createLog, type LogSink, type RootLog } from "../services/log.ts";
import { systemRandom } from "../services/random.ts";
import { createFdSink } from "../services/stdout-sink.ts";
import { type Command, CONFIG_OPTION, EXIT, parse, type Terminal } from "./command.ts";
import { loadOrReport, reportStrays } from "./load-or-report.ts";

export const run: Command = {
  name: "run",
  usage: "run [-c FILE]",
  summary: "runs the gateway; SIGHUP reloads, SIGTERM drains, a second SIGTERM cuts",
  options: CONFIG_OPTION,
  async run(args, terminal) {
    const { values } = parse(args, CONFIG_OPTION);
    return runGateway(values.config, terminal, createFdSink(1, systemClock));
  },
};

/** Runs a configuration until a signal ends it; answers the exit code. */
export async function runGateway(
  file: string,
  terminal: Terminal,
  sink: LogSink,
  started: (runtime: Runtime) => void = () => undefined,
): Promise<number> {
  // What has no handler ends the process; a supervisor may send its reload right after the start.
  let early = false;
  const remember = (): void => void (early = true);
  process.on("SIGHUP", remember);
  let observer = reportStrays(terminal);
  // From the beginning: a plugin's file may leave something behind while it is loaded.
  const contained = installStrayFailureHandlers({
    strayFailure: (...facts) => observer.strayFailure(...facts),
  });
  try {
    const loaded = await loadOrReport(file, terminal);
    if (loaded === undefined) return EXIT.failed;
    const log = createLog(sink, systemClock, loaded.config.log);
    const runtime = await startOrReport(file, terminal, log, loaded);
    if (typeof runtime === "number") return runtime;
    observer = runtime.observer;
    // The binary starts reluctant to compile (scripts/lib/common.sh): from here on code runs often.
    Bun.unsafe.setJITPolicy(1);
    started(runtime);
    const stopped = untilStopped(runtime);
    if (early) void runtime.reload("SIGHUP");
    const cut = await stopped;
    await log.close();
    return cut > 0 ? EXIT.cut : EXIT.ok;
  } finally {
    process.off("SIGHUP", remember);
    contained();
  }
}

/** The running gateway, or the exit code after what is wrong was shown. */
async function startOrReport(
  file: string,
  terminal: Terminal,
  log: RootLog,
  loaded: LoadedConfig,
): Promise<Runtime | number> {
  const { env, builtins } = terminal;
  const options = { file: resolve(file), env, builtins, clock: systemClock, random: systemRandom, log };
  try {
    return await startRuntime(options, loaded);
  } catch (error) {
    await log.close();
    if (!(error instanceof StartError)) throw error;
    for (const problem of error.problems) terminal.err(formatProblem(problem, terminal.cwd));
    if (error.problems.length > 0) return EXIT.failed;
    terminal.err(`sluice: ${error.message}`);
    return EXIT.cannotStart;
  }
}

/** Obeys signals; resolves with the number of requests that were cut once the gateway has stopped. */
function untilStopped(runtime: Runtime): Promise<number> {
  return new Promise((stopped, reject) => {
    let stopping = false;
    const stop = (): void => {
      if (stopping) {
        runtime.cutNow();
        return;
      }
      stopping = true;
      runtime.shutdown().then((cut) => {
        process.off("SIGTERM", stop);
        process.off("SIGINT", stop);
        process.off("SIGHUP", reload);
        stopped(cut);
      }, reject);
    };
    const reload = (): void => void runtime.reload("SIGHUP");
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
    process.on("SIGHUP", reload);
  });
}
