import { HONO_MODULES } from "./hono-modules.ts";

/*
 * What plugins share with the host instead of bringing their own: a schema must be the host's zod for its
 * errors to be reported, a middleware must see the host's Hono. `import()` and never `require`: both packages
 * carry a second copy for `require`, whose classes are other classes.
 */
const HOST_MODULES: Readonly<Record<string, () => Promise<object>>> = {
  "sluice/plugin": () => import("sluice/plugin"),
  "sluice/testing": () => import("sluice/testing"),
  zod: () => import("zod"),
  "zod/v4": () => import("zod/v4"),
  "zod/mini": () => import("zod/mini"),
  "zod/v4-mini": () => import("zod/v4-mini"),
  "zod/v4/mini": () => import("zod/v4/mini"),
  "zod/v4/core": () => import("zod/v4/core"),
  ...HONO_MODULES,
};

/** The modules that a plugin gets from the host. */
export const HOST_MODULE_NAMES: ReadonlySet<string> = new Set(Object.keys(HOST_MODULES));

const loaded = new Map<string, object>();

/** Evaluates host modules, so that {@link hostModule} has them at hand. Names of {@link HOST_MODULE_NAMES} only. */
export async function prepareHostModules(names: Iterable<string>): Promise<void> {
  for (const name of names) {
    const load = HOST_MODULES[name];
    if (load === undefined || loaded.has(name)) continue;
    loaded.set(name, asCommonJs(await load()));
  }
}

/** A host module as `require` answers it; prepared before. @throws Error for any other name. */
export function hostModule(name: string): object {
  const module = loaded.get(name);
  if (module === undefined) throw new Error(`${JSON.stringify(name)} is not a module of the gateway`);
  return module;
}

// A bundle in CommonJS tells "a module with a default export" from "a value" by this mark.
function asCommonJs(module: object): object {
  return Object.defineProperties({}, {
    ...Object.getOwnPropertyDescriptors(module),
    __esModule: { value: true },
  } as PropertyDescriptorMap);
}
