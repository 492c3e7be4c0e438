/*
 * The open-loop generator as a program: requests at a fixed rate, latency from when each should have been sent. Prints
 * one JSON object (see report.ts) and exits 1 where any answer was wrong.
 */
import { parseOptions, USAGE } from "./options.ts";
import { takeCore } from "./own-core.ts";
import { execute, type OpenLoopReport } from "./report.ts";

async function main(): Promise<number> {
  let report: OpenLoopReport;
  try {
    const command = parseOptions(process.argv.slice(2));
    takeCore();
    report = await execute(command);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.errors === 0 ? 0 : 1;
}

process.exitCode = await main();
