import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/*
 * Every file in `broken/` begins with the lines that `sluice validate` prints for it, each behind `# expect: `.
 * File names in them are relative to the folder, as when the command runs in it.
 */

const CONFIG = dirname(import.meta.dir);

/** Configurations that are refused. */
export const BROKEN = join(CONFIG, "broken");
/** Configurations that are valid and warned of. */
export const SUSPICIOUS = join(BROKEN, "suspicious");
export const EXAMPLES = join(CONFIG, "examples");

/** Examples that this version runs. */
export const GOOD_EXAMPLES = ["proxy.yaml", "behind-haproxy.yaml", "plugin.yaml", "upstreams.yaml"];
/** Examples that use what this version refuses as not available. */
export const PLANNED_EXAMPLES = ["cache.yaml", "edge.yaml", "inference.yaml", "llm.yaml"];

/** Names of the configurations in a folder. */
export function yamlFilesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith(".yaml"));
}

/** What `sluice validate` says of a file, line by line. */
export function expectedLines(file: string): string[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("# expect: "))
    .map((line) => line.slice("# expect: ".length));
}
