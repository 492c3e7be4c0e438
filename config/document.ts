import { dirname, resolve } from "node:path";
import { findExternalPlugins, type NamedPlugin } from "./external-plugins.ts";
import { mergeFiles } from "./include.ts";
import { InterpolationError, type Sources } from "./interpolate.ts";
import { interpolateNodes } from "./interpolate-nodes.ts";
import { child, type ConfigNode, formatPath, type MappingNode, textOf, isFailed } from "./node.ts";
import { parseYaml } from "./parse-yaml.ts";
import { type Problem, Problems } from "./problem.ts";
import { describe } from "./secrets.ts";
import { FileError, readTextFile } from "./text-file.ts";
import type { Place } from "./types.ts";

/** A configuration that was read and put together, and not yet checked against any schema. */
export interface ConfigDocument {
  /** Absolute path of the main file. */
  readonly file: string;
  /** Every file that was read or looked for, absolute, the main file first. */
  readonly files: readonly string[];
  /** Everything of all files, interpolated; undefined where the main file gave nothing. */
  readonly root: MappingNode | undefined;
  /** False when a file is missing from the whole, so that names may be unknown for that reason alone. */
  readonly complete: boolean;
  /** Third parties' plugins to load before {@link ConfigDocument} is validated. */
  readonly externalPlugins: readonly NamedPlugin[];
  readonly problems: readonly Problem[];
}

/** A YAML file may be this long, in bytes. */
export const MAX_FILE = 4 * 1_048_576;
/** What `${file:…}` reads may be this long, in bytes. */
export const MAX_VALUE_FILE = 65_536;
const MAX_FILES = 1_000;

/**
 * Reads a YAML file, what it includes and what it interpolates. Never throws for what is in the files: the
 * answer's `problems` say what is wrong.
 *
 * @param env where `${NAME}` is looked up.
 */
export async function readDocument(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ConfigDocument> {
  const reader = new DocumentReader(env);
  const main = resolve(file);
  const root = await reader.read(main, undefined, []);
  const externalPlugins = findExternalPlugins(child(root, "plugins"), reader.problems);
  const files = [...reader.files];
  return {
    file: main,
    files,
    root,
    complete: reader.complete,
    externalPlugins,
    problems: reader.problems.sorted("error", files),
  };
}

/** Where an `include` stands, and the file that it names. */
interface Inclusion {
  readonly file: string;
  /** The name for messages. */
  readonly shown: string;
  readonly place: Place;
  readonly path: string;
}

class DocumentReader {
  readonly problems = new Problems();
  readonly files = new Set<string>();
  complete = true;
  readonly #env: Readonly<Record<string, string | undefined>>;
  /** Files that were included, with the place that did it. */
  readonly #included = new Map<string, Place>();

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#env = env;
  }

  /** @param outer the files whose `include` led here, outermost first. */
  async read(
    file: string,
    inclusion: Inclusion | undefined,
    outer: readonly string[],
  ): Promise<MappingNode | undefined> {
    this.files.add(file);
    const own = await this.#parse(file, inclusion);
    if (own === undefined) {
      this.complete = false;
      return undefined;
    }
    const parts: MappingNode[] = [];
    const open = [...outer, file];
    for (const next of this.#inclusions(own)) {
      const part = this.#mayInclude(next, open) ? await this.read(next.file, next, open) : undefined;
      if (part !== undefined) parts.push(part);
    }
    // Included files stand before the file that includes them, as if their text stood at its top.
    parts.push({ ...own, entries: own.entries.filter((entry) => entry.key !== "include") });
    return mergeFiles(parts, this.problems);
  }

  async #parse(file: string, inclusion: Inclusion | undefined): Promise<MappingNode | undefined> {
    const top: Place = { file, line: 1, column: 1 };
    let text: string;
    try {
      text = await readTextFile(file, MAX_FILE);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      if (inclusion === undefined) this.problems.error(top, "", `the file cannot be read: ${error.message}`);
      else {
        const message = `cannot include ${inclusion.shown}: ${error.message}`;
        this.problems.error(inclusion.place, inclusion.path, message);
      }
      return undefined;
    }
    const parsed = parseYaml(file, text, this.problems);
    if (parsed === undefined) return undefined;
    if (parsed.kind !== "mapping") {
      const got = parsed.kind === "sequence" ? "a list" : "a single value";
      this.problems.error(
        parsed.place,
        "",
        `expected a mapping of keys such as version and routes, got ${got}`,
      );
      return undefined;
    }
    const root = await interpolateNodes(parsed, this.#sources(dirname(file)), this.problems);
    return root.kind === "mapping" ? root : undefined;
  }

  #sources(directory: string): Sources {
    return {
      env: this.#env,
      readFile: async (path) => {
        const absolute = resolve(directory, path);
        this.files.add(absolute);
        try {
          return await readTextFile(absolute, MAX_VALUE_FILE);
        } catch (error) {
          if (!(error instanceof FileError)) throw error;
          throw new InterpolationError(`cannot read \${file:${path}}: ${error.message}`);
        }
      },
    };
  }

  #inclusions(root: MappingNode): Inclusion[] {
    const include = child(root, "include");
    if (include === undefined) return [];
    const listed: [ConfigNode, string][] =
      include.kind === "sequence"
        ? include.items.map((item, index) => [item, formatPath(["include", index])])
        : [[include, "include"]];
    const inclusions: Inclusion[] = [];
    for (const [node, path] of listed) {
      const written = textOf(node);
      if (isFailed(node)) this.complete = false;
      else if (written === undefined || written === "") {
        this.complete = false;
        this.problems.error(node.place, path, "expected the path of a YAML file");
      } else {
        const file = resolve(dirname(node.place.file), written);
        inclusions.push({ file, shown: describe(node), place: node.place, path });
      }
    }
    return inclusions;
  }

  #mayInclude({ file, shown, place, path }: Inclusion, open: readonly string[]): boolean {
    const first = this.#included.get(file);
    if (open.includes(file)) {
      this.problems.error(place, path, `${shown} includes itself, directly or through other files`);
    } else if (first !== undefined) {
      const also = { label: "first at", place: first };
      this.problems.error(place, path, `${shown} is included twice`, { also });
    } else if (this.#included.size >= MAX_FILES) {
      this.problems.error(place, path, `more than ${MAX_FILES} files are included`);
    } else {
      this.#included.set(file, place);
      return true;
    }
    return false;
  }
}
