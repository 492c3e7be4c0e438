import { type Command, CONFIG_OPTION, EXIT, parse } from "./command.ts";
import { loadOrReport } from "./load-or-report.ts";

export const validate: Command = {
  name: "validate",
  usage: "validate [-c FILE]",
  summary: "checks a configuration and shows every error with its place; exit code 1 when there is one",
  async run(args, terminal) {
    const { values } = parse(args, CONFIG_OPTION);
    const loaded = await loadOrReport(values.config, terminal);
    if (loaded === undefined) return EXIT.failed;
    loaded.release();
    const { routes, upstreams, listeners } = loaded.config;
    const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
    terminal.out(
      `${values.config}: valid (${count(listeners.length, "listener")}, ${count(routes.length, "route")}, ${count(upstreams.length, "upstream")})`,
    );
    return EXIT.ok;
  },
};
