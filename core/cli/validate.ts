import { formatProblem } from "../../config/index.ts";
import { tryOut } from "../runtime/try-out.ts";
import { systemClock } from "../services/clock.ts";
import { systemRandom } from "../services/random.ts";
import { type Command, CONFIG_OPTION, EXIT, parse, type Terminal } from "./command.ts";
import { loadOrReport, withStrays } from "./load-or-report.ts";

export const validate: Command = {
  name: "validate",
  usage: "validate [-c FILE]",
  summary: "checks a configuration and shows every error with its place; exit code 1 when there is one",
  options: CONFIG_OPTION,
  run(args, terminal) {
    const { values } = parse(args, CONFIG_OPTION);
    return withStrays(terminal, () => validated(values.config, terminal));
  },
};

async function validated(file: string, terminal: Terminal): Promise<number> {
  const loaded = await loadOrReport(file, terminal);
  if (loaded === undefined) return EXIT.failed;
  // A plugin may refuse its options only when it is set up.
  const problems = await tryOut(loaded, { clock: systemClock, random: systemRandom });
  for (const problem of problems) terminal.err(formatProblem(problem, terminal.cwd));
  if (problems.length > 0) return EXIT.failed;
  const { routes, upstreams, listeners } = loaded.config;
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  terminal.out(
    `${file}: valid (${count(listeners.length, "listener")}, ${count(routes.length, "route")}, ${count(upstreams.length, "upstream")})`,
  );
  return EXIT.ok;
}
