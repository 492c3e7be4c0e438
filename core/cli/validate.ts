import { setImmediate } from "node:timers/promises";
import { formatProblem } from "../../config/index.ts";
import { installStrayFailureHandlers } from "../plugin-host/stray-failures.ts";
import { tryOut } from "../runtime/try-out.ts";
import { systemClock } from "../services/clock.ts";
import { systemRandom } from "../services/random.ts";
import { type Command, CONFIG_OPTION, EXIT, parse } from "./command.ts";
import { loadOrReport, reportStrays } from "./load-or-report.ts";

export const validate: Command = {
  name: "validate",
  usage: "validate [-c FILE]",
  summary: "checks a configuration and shows every error with its place; exit code 1 when there is one",
  options: CONFIG_OPTION,
  async run(args, terminal) {
    const { values } = parse(args, CONFIG_OPTION);
    const contained = installStrayFailureHandlers(reportStrays(terminal));
    try {
      const loaded = await loadOrReport(values.config, terminal);
      // A plugin may refuse its options only when it is set up.
      const problems = loaded && (await tryOut(loaded, { clock: systemClock, random: systemRandom }));
      for (const problem of problems ?? []) terminal.err(formatProblem(problem, terminal.cwd));
      if (loaded === undefined || problems!.length > 0) return EXIT.failed;
      const { routes, upstreams, listeners } = loaded.config;
      const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
      terminal.out(
        `${values.config}: valid (${count(listeners.length, "listener")}, ${count(routes.length, "route")}, ${count(upstreams.length, "upstream")})`,
      );
      return EXIT.ok;
    } finally {
      // What a plugin leaves behind when it is closed is told of in the next turn.
      await setImmediate();
      contained();
    }
  },
};
