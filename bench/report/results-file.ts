import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chartOf } from "./chart.ts";
import { CHART, reportOf } from "./markdown.ts";
import { RESULTS } from "./read-results.ts";
import type { Results } from "./results.ts";

/** Writes `results.json`, `report.md` and `chart.svg` into a folder, which is made where it is missing. */
export async function writeReport(results: Results, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await Promise.all([
    Bun.write(join(dir, RESULTS), `${JSON.stringify(results, measuredOnly, 2)}\n`),
    Bun.write(join(dir, "report.md"), reportOf(results)),
    Bun.write(join(dir, CHART), chartOf(results)),
  ]);
}

/** JSON has no NaN: what is no number was not measured. An aim says so with null. */
function measuredOnly(key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  return key === "value" ? null : undefined;
}
