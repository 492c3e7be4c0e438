import { COMMIT, COMMIT_DATE, VERSION } from "../version.ts";
import { type Command, EXIT, JSON_OPTION, parse } from "./command.ts";

export const version: Command = {
  name: "version",
  usage: "version [--json]",
  summary: "prints version, commit and runtime",
  options: JSON_OPTION,
  run(args, { out }) {
    const { values } = parse(args, JSON_OPTION);
    const facts = {
      version: VERSION,
      commit: COMMIT,
      commit_date: COMMIT_DATE,
      runtime: `bun ${Bun.version}`,
      platform: `${process.platform} ${process.arch}`,
    };
    if (values.json === true) out(JSON.stringify(facts));
    else out(`sluice ${facts.version} (${facts.commit}, ${facts.runtime}, ${facts.platform})`);
    return Promise.resolve(EXIT.ok);
  },
};
