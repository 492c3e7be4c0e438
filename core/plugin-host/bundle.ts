import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { HOST_MODULE_NAMES } from "./host-modules.ts";
import { PluginLoadError } from "./plugin-load-error.ts";

/** The name by which a bundle asks for host modules; a parameter of the function around it. */
export const HOST_REQUIRE = "__sluiceHost";

/** A plugin's file and everything that it imports, as one CommonJS function expression. */
export interface Bundle {
  /** `(function(exports, require, module, __filename, __dirname) {…})`, a comment line before it. */
  readonly code: string;
  /** Its source map, JSON. Sources are relative to `base`. */
  readonly map: string;
  readonly base: string;
  /** Absolute paths of all files that took part. */
  readonly files: readonly string[];
  /** The host modules that it imports, dynamically or not. */
  readonly hostModules: readonly string[];
}

/**
 * Bundles a plugin's file. What the host provides stays outside; npm packages that are installed beside the
 * file are bundled in.
 * @throws PluginLoadError for a missing file, syntax errors, imports that lead nowhere
 */
export async function bundle(path: string): Promise<Bundle> {
  await checkFile(path);
  const hostModules = new Set<string>();
  // The bundler names files relative to the directory that the process stands in.
  const base = process.cwd();
  const result = await Bun.build({
    entrypoints: [path],
    target: "bun",
    // CommonJS, because it can be evaluated as a function: a module that was imported stays in the runtime's
    // module registry for good, so that every reload of a changed file would grow the process.
    format: "cjs",
    sourcemap: "external",
    metafile: true,
    throw: false,
    define: {
      "process.env.NODE_ENV": '"production"',
      // The bundler replaces the other facts of `import.meta` by itself and leaves this one, which a function cannot have.
      "import.meta.filename": "__filename",
    },
    plugins: [
      {
        name: "host modules",
        setup(build) {
          build.onResolve({ filter: /^(sluice|zod|hono)(\/|$)/ }, ({ path: name }) => {
            // A name that we do not have is looked for beside the plugin, and reported with its place if missing.
            if (!HOST_MODULE_NAMES.has(name)) return undefined;
            hostModules.add(name);
            return { path: name, namespace: "sluice-host" };
          });
          build.onLoad({ filter: /.*/, namespace: "sluice-host" }, ({ path: name }) => ({
            contents: `module.exports = ${HOST_REQUIRE}(${JSON.stringify(name)});`,
            loader: "js",
          }));
        },
      },
    ],
  });
  if (!result.success) throw buildFailure(path, result.logs);

  const inputs = Object.keys(result.metafile?.inputs ?? {}).filter(
    (name) => !name.startsWith("sluice-host:"),
  );
  const files = inputs.map((name) => resolve(base, name));
  let code: Blob | undefined;
  let map: Blob | undefined;
  for (const output of result.outputs) {
    if (output.kind === "entry-point") code = output;
    else if (output.kind === "sourcemap") map = output;
    else
      throw new PluginLoadError(
        path,
        `${path}: imports ${JSON.stringify(output.path)} as a file; open it in setup, by services.resolvePath()`,
        { files },
      );
  }
  if (code === undefined || map === undefined)
    throw new PluginLoadError(path, `${path}: nothing to run in it`);
  return { code: await code.text(), map: await map.text(), base, files, hostModules: [...hostModules] };
}

async function checkFile(path: string): Promise<void> {
  const facts = await stat(path).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === "ENOENT" || code === "ENOTDIR" ? "there is no such file" : `cannot be read (${code})`;
    throw new PluginLoadError(path, `${path}: ${why}`);
  });
  if (!facts.isFile())
    throw new PluginLoadError(path, `${path}: is not a file; name the plugin's .ts or .js file`);
}

type BuildLog = Awaited<ReturnType<typeof Bun.build>>["logs"][number];

function buildFailure(path: string, logs: readonly BuildLog[]): PluginLoadError {
  const errors = logs.filter((log) => log.level === "error");
  const files = [...new Set([path, ...errors.flatMap(({ position }) => position?.file ?? [])])];
  const [first, ...others] = errors;
  if (first === undefined) return new PluginLoadError(path, `${path}: cannot be bundled`, { files });
  // One mistake brings others in its train; the first is the one to mend.
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  return new PluginLoadError(path, wordsOf(path, first) + more, { files });
}

function wordsOf(path: string, { position, message }: BuildLog): string {
  const place = position === null ? path : `${position.file}:${position.line}:${position.column}`;
  return `${place}: ${TOP_LEVEL_AWAIT.test(message) ? NO_TOP_LEVEL_AWAIT : message.replace(ADVICE, "")}`;
}

const NO_TOP_LEVEL_AWAIT =
  "a plugin's file cannot await at its top level; await in setup, which may be async";
/** The bundler's, for who works with its own package manager. */
const ADVICE = /\. Maybe you need to "bun install"\?$/;
const TOP_LEVEL_AWAIT = /"await" can only be used inside|top-level await/i;
