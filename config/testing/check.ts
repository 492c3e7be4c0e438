import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AnyPlugin } from "sluice/plugin";
import { readDocument } from "../document.ts";
import { formatProblem, type Problem } from "../problem.ts";
import type { Config } from "../types.ts";
import { validateDocument } from "../validate.ts";
import { registryOf, standIns } from "./stand-ins.ts";

type Files = Readonly<Record<string, string>>;

export interface CheckOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly plugins?: readonly AnyPlugin[];
  readonly found?: readonly Problem[];
}

/** What became of a configuration; problems and warnings as lines with file names relative to its directory. */
export interface Checked {
  readonly config: Config | undefined;
  readonly lines: readonly string[];
  readonly directory: string;
}

/** A directory with these files, gone when the scope ends. */
export async function filesIn(files: Files): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "sluice-config-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Reads and validates one text as `main.yaml`, or several files of which `main.yaml` is the main one. */
export async function check(yaml: string | Files, options: CheckOptions = {}): Promise<Checked> {
  await using directory = await filesIn(typeof yaml === "string" ? { "main.yaml": yaml } : yaml);
  // The files must stay until they are read.
  return await checkFile(join(directory.path, "main.yaml"), directory.path, options);
}

export async function checkFile(
  file: string,
  directory: string,
  options: CheckOptions = {},
): Promise<Checked> {
  const document = await readDocument(file, options.env ?? {});
  const registry = registryOf(options.plugins ?? standIns);
  const outcome = validateDocument(document, registry, options.found ?? []);
  const config = "config" in outcome ? outcome.config : undefined;
  const problems = "config" in outcome ? outcome.warnings : outcome.problems;
  return { config, lines: problems.map((problem) => formatProblem(problem, directory)), directory };
}

/** The Config of a text without errors and warnings. @throws Error with the lines of any other. */
export async function configOf(yaml: string | Files, options: CheckOptions = {}): Promise<Config> {
  const { config, lines } = await check(yaml, options);
  if (config === undefined || lines.length > 0) throw new Error(lines.join("\n"));
  return config;
}
