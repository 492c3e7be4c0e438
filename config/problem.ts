import { isAbsolute, relative, sep } from "node:path";
import type { Place } from "./types.ts";

/** One thing that is wrong, or almost surely wrong, with a configuration. Never holds a secret's value. */
export interface Problem {
  readonly severity: "error" | "warning";
  readonly place: Place;
  /** The key as `routes[0].match.path`; "" for a whole file. */
  readonly path: string;
  /** What is wrong and what is expected, as the middle of a line. */
  readonly message: string;
  /** What was probably meant. */
  readonly suggestion?: string;
  /** Another place that takes part, such as the first of two entries of one name. */
  readonly also?: { readonly label: string; readonly place: Place };
}

/**
 * `file:line:column: path: what is wrong, what is expected (did you mean "x"?)`; a warning says so behind the
 * column.
 *
 * @param relativeTo directory that file names are shown relative to, where they lie below it. @default absolute
 */
export function formatProblem(problem: Problem, relativeTo?: string): string {
  const { severity, place, path, message, suggestion, also } = problem;
  const kind = severity === "warning" ? "warning: " : "";
  const key = path === "" ? "" : `${path}: `;
  const other = also === undefined ? "" : `, ${also.label} ${formatPlace(also.place, relativeTo)}`;
  const hint = suggestion === undefined ? "" : ` (did you mean ${JSON.stringify(suggestion)}?)`;
  return `${formatPlace(place, relativeTo)}: ${kind}${key}${message}${other}${hint}`;
}

/** `file:line:column`. */
export function formatPlace(place: Place, relativeTo?: string): string {
  return `${shortened(place.file, relativeTo)}:${place.line}:${place.column}`;
}

function shortened(file: string, relativeTo: string | undefined): string {
  if (relativeTo === undefined) return file;
  const short = relative(relativeTo, file);
  return short === "" || short === ".." || short.startsWith(`..${sep}`) || isAbsolute(short) ? file : short;
}

/** Collects problems; everything that reads a part of the configuration reports here and goes on. */
export class Problems {
  readonly #found: Problem[] = [];

  add(problem: Problem): void {
    this.#found.push(problem);
  }

  error(place: Place, path: string, message: string, more: Pick<Problem, "suggestion" | "also"> = {}): void {
    this.#found.push({ severity: "error", place, path, message, ...more });
  }

  warn(place: Place, path: string, message: string, more: Pick<Problem, "suggestion" | "also"> = {}): void {
    this.#found.push({ severity: "warning", place, path, message, ...more });
  }

  get errorCount(): number {
    return this.#found.filter((problem) => problem.severity === "error").length;
  }

  /** Each once, by file (in the order of `files`), line and column. */
  sorted(severity: Problem["severity"], files: readonly string[] = []): Problem[] {
    const unique = new Map<string, Problem>();
    for (const problem of this.#found) {
      if (problem.severity === severity) unique.set(formatProblem(problem), problem);
    }
    const rank = new Map(files.map((file, index) => [file, index]));
    return [...unique.values()].sort((a, b) => compare(a, b, rank));
  }
}

function compare(a: Problem, b: Problem, rank: ReadonlyMap<string, number>): number {
  return (
    (rank.get(a.place.file) ?? Infinity) - (rank.get(b.place.file) ?? Infinity) ||
    order(a.place.file, b.place.file) ||
    a.place.line - b.place.line ||
    a.place.column - b.place.column ||
    order(a.path, b.path) ||
    order(a.message, b.message)
  );
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
