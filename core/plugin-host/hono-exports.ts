/*
 * Writes hono-modules.ts after an update of hono:
 *   bun core/plugin-host/hono-exports.ts > core/plugin-host/hono-modules.ts
 */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";

/** Adapters of other runtimes, and what runs in a browser: none of it works inside a gateway. */
const LEFT_OUT =
  /^\.\/(aws-lambda|cloudflare-pages|cloudflare-workers|deno|lambda-edge|netlify|service-worker|vercel|jsx\/dom)(\/|$)/;

/** Every module that the installed hono exports and a plugin can use: `hono`, `hono/etag`, `hono/utils/url` … */
export async function honoExports(): Promise<string[]> {
  const packageFile = Bun.resolveSync("hono/package.json", import.meta.dir);
  const { exports } = (await Bun.file(packageFile).json()) as { exports: Record<string, { import: string }> };
  const names: string[] = [];
  for (const [subpath, target] of Object.entries(exports)) {
    if (LEFT_OUT.test(subpath)) continue;
    if (!subpath.endsWith("/*")) {
      names.push(subpath === "." ? "hono" : `hono${subpath.slice(1)}`);
      continue;
    }
    // `./utils/*`: one module a file of the folder.
    const folder = join(dirname(packageFile), dirname(target.import));
    for (const file of readdirSync(folder))
      if (file.endsWith(".js")) names.push(`hono${subpath.slice(1, -1)}${file.slice(0, -3)}`);
  }
  return [...new Set(names)].sort();
}

/** The text of hono-modules.ts. */
export function honoModulesSource(names: readonly string[]): string {
  const entries = names.map((name) => {
    const key = /^\w+$/.test(name) ? name : JSON.stringify(name);
    return `  ${key}: () => import(${JSON.stringify(name)}),\n`;
  });
  return [
    "/*\n * Made by hono-exports.ts, which says what is left out. The names are spelled out, so that the compiled binary\n",
    " * holds the modules, and behind functions, so that none is evaluated before a plugin asks for it.\n */\n",
    "export const HONO_MODULES: Readonly<Record<string, () => Promise<object>>> = {\n",
    ...entries,
    "};\n",
  ].join("");
}

if (import.meta.main) await Bun.write(Bun.stdout, honoModulesSource(await honoExports()));
