import type { HonoRequest } from "hono/request";

/** What Hono's router would have said: the route, for labels, and the values of its `:name` segments. */
export type HonoMatch = NonNullable<ConstructorParameters<typeof HonoRequest>[2]>;

/**
 * Compiles what `c.req.param()`, `c.req.routePath` and `c.req.matchedRoutes` answer on a route.
 * @param pattern the route's `path`, or undefined where it has none.
 */
export function compileHonoMatch(pattern: string | undefined): (path: string) => HonoMatch {
  const route = { basePath: "/", path: pattern ?? "*", method: "ALL", handler: () => {} };
  const result = (params: Record<string, string>): HonoMatch => [[[[route.handler, route], params]]];
  const names = (pattern ?? "").split("/").map((segment) => (/^:./.test(segment) ? segment.slice(1) : ""));
  if (names.every((name) => name === "")) {
    const fixed = result({});
    return () => fixed;
  }
  return (path) => {
    const segments = path.split("/");
    const params: Record<string, string> = {};
    for (const [i, name] of names.entries()) if (name !== "") params[name] = segments[i] ?? "";
    return result(params);
  };
}
