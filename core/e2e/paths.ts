import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The repository's root. */
export const ROOT = dirname(dirname(import.meta.dir));

/** A contract file as it stands in config/examples. */
export function example(name: string): string {
  return readFileSync(join(ROOT, "config/examples", name), "utf8");
}

/** A contract file with its fixed ports replaced: tests run side by side on free ones. */
export function exampleOnPorts(name: string, ports: Readonly<Record<number, number>>): string {
  let text = example(name);
  for (const [from, to] of Object.entries(ports)) text = text.replaceAll(`:${from}`, `:${to}`);
  return text;
}
