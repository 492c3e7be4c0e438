import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeaderList } from "sluice/plugin";
import type { MatchConfig } from "../../config/types.ts";
import { compileRouter, type RouteFacts } from "./router.ts";

function route(match: Partial<MatchConfig> = {}): { match: MatchConfig } {
  return { match: { hosts: [], path: undefined, methods: [], headers: [], query: [], ...match } };
}

function facts(
  request: Partial<Omit<RouteFacts, "headers">> & { headers?: [string, string][] } = {},
): RouteFacts {
  return {
    host: request.host ?? "example.com",
    path: request.path ?? "/",
    method: request.method ?? "GET",
    search: request.search ?? "",
    headers: HeaderList.from(request.headers ?? []),
  };
}

function matches(match: Partial<MatchConfig>, request: Parameters<typeof facts>[0]): boolean {
  return compileRouter([route(match)]).match(facts(request)) === 0;
}

describe("a path", () => {
  test.each<[string, string, boolean]>([
    ["/api/*", "/api/x", true],
    ["/api/*", "/api/x/y/", true],
    ["/api/*", "/api/", true],
    ["/api/*", "/api", true],
    ["/api/*", "/apix", false],
    ["/api/*", "/", false],
    ["/*", "/", true],
    ["/*", "/a//b", true],
    ["/*", "*", false],
    ["/api", "/api", true],
    ["/api", "/api/", false],
    ["/api", "/Api", false],
    ["/", "/", true],
    ["/", "//", false],
    ["/users/:id", "/users/7", true],
    ["/users/:id", "/users/", false],
    ["/users/:id", "/users/7/", false],
    ["/users/:id/orders", "/users/7/orders", true],
    ["/users/:id/*", "/users/7", true],
    ["/users/:id/*", "/users/7/orders/1", true],
    ["/users/:id/*", "/users", false],
    ["/v1/models/x:predict", "/v1/models/x:predict", true],
    ["/a/*/b", "/a/*/b", true],
    ["/a/*/b", "/a/x/b", false],
    ["/:", "/:", true],
    ["/:", "/x", false],
    ["/café", "/caf%C3%A9", true],
    ["/{x}", "/%7Bx%7D", true],
  ])("%p and the request %p: %p", (path, requested, expected) => {
    expect(matches({ path }, { path: requested })).toBe(expected);
  });

  test("that is none is refused when the routes are compiled", () => {
    expect(() => compileRouter([route({ path: "api" })])).toThrow('"api" is not a path that can be matched');
  });
});

describe("a host", () => {
  test.each<[string, string, boolean]>([
    ["example.com", "example.com", true],
    ["example.com", "EXAMPLE.com.:8080", true],
    ["example.com", "a.example.com", false],
    ["*.example.com", "a.example.com", true],
    ["*.example.com", "a.b.example.com:1", true],
    ["*.example.com", "example.com", false],
    ["*.example.com", ".example.com", false],
    ["*.example.com", "aexample.com", false],
    ["[::1]", "[::1]:80", true],
    ["example.com", "", false],
  ])("%p and the authority %p: %p", (host, authority, expected) => {
    expect(matches({ hosts: [host] }, { host: authority })).toBe(expected);
  });
});

describe("other fields", () => {
  test("methods are compared exactly: HEAD is matched where it is listed", () => {
    expect(matches({ methods: ["GET", "PUT"] }, { method: "PUT" })).toBe(true);
    expect(matches({ methods: ["GET"] }, { method: "HEAD" })).toBe(false);
    expect(matches({ methods: ["GET"] }, { method: "get" })).toBe(false);
  });

  test("headers want presence, or a value in one of the field lines", () => {
    const headers: [string, string][] = [
      ["x-a", "1"],
      ["x-a", "2"],
    ];
    expect(matches({ headers: [["x-a", "2"]] }, { headers })).toBe(true);
    expect(matches({ headers: [["x-a", true]] }, { headers })).toBe(true);
    expect(matches({ headers: [["x-a", "3"]] }, { headers })).toBe(false);
    expect(matches({ headers: [["x-b", true]] }, { headers })).toBe(false);
  });

  test("query parameters are decoded first", () => {
    const search = "?a=x%20y&b&c=1&c=2&%64=e+f";
    expect(matches({ query: [["a", "x y"]] }, { search })).toBe(true);
    expect(matches({ query: [["b", true]] }, { search })).toBe(true);
    expect(matches({ query: [["b", ""]] }, { search })).toBe(true);
    expect(matches({ query: [["c", "2"]] }, { search })).toBe(true);
    expect(matches({ query: [["d", "e f"]] }, { search })).toBe(true);
    expect(matches({ query: [["c", "3"]] }, { search })).toBe(false);
    expect(matches({ query: [["é", "1"]] }, { search: "?\xc3\xa9=1" })).toBe(true);
    expect(matches({ query: [["a", true]] }, { search: "" })).toBe(false);
  });
});

describe("a table of routes", () => {
  test("answers the first that matches in file order, however specific later ones are", () => {
    const router = compileRouter([
      route({ path: "/a/*", methods: ["POST"] }),
      route({ path: "/a/:x" }),
      route({ path: "/a/b" }),
      route({ hosts: ["example.com"], path: "/a/b" }),
      route(),
    ]);
    expect(router.match(facts({ path: "/a/b" }))).toBe(1);
    expect(router.match(facts({ path: "/a/b", method: "POST" }))).toBe(0);
    expect(router.match(facts({ path: "/a/b/c" }))).toBe(4);
    expect(router.match(facts({ path: "*", method: "OPTIONS" }))).toBe(4);
    expect(compileRouter([]).match(facts())).toBe(-1);
  });

  test("one route may have several hosts", () => {
    const router = compileRouter([route({ hosts: ["a.example", "*.b.example", "a.example"], path: "/x" })]);
    expect(router.match(facts({ host: "a.example", path: "/x" }))).toBe(0);
    expect(router.match(facts({ host: "c.b.example", path: "/x" }))).toBe(0);
    expect(router.match(facts({ host: "c.example", path: "/x" }))).toBe(-1);
  });

  test("explains why each route was not taken", () => {
    const router = compileRouter([
      route({ hosts: ["*.example.com"], path: "/a/*", methods: ["GET", "HEAD"] }),
      route({ headers: [["x-a", "1"]], query: [["q", true]] }),
      route({ path: "/b" }),
      route(),
    ]);
    expect(router.explain(facts({ path: "/b", method: "PUT", host: "example.com:80" }))).toEqual([
      {
        route: 0,
        outcome: "missed",
        reasons: [
          "host example.com is not *.example.com",
          "path /b does not match /a/*",
          "method PUT is not GET or HEAD",
        ],
      },
      { route: 1, outcome: "missed", reasons: ['header x-a is not "1"', "query parameter q is missing"] },
      { route: 2, outcome: "taken", reasons: [] },
      { route: 3, outcome: "shadowed", reasons: [] },
    ]);
  });

  const someOf = <T>(...values: T[]) => fc.uniqueArray(fc.constantFrom(...values), { maxLength: 2 });
  const wanted = fc.array(
    fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom<string | true>("1", "2", true)),
    { maxLength: 1 },
  );
  const piece = fc.constantFrom("a", "b", ":x", ":y", "c.d", "");
  const paths = fc
    .tuple(fc.array(piece, { maxLength: 3 }), fc.constantFrom("", "/*"))
    .map(([pieces, rest]) => pieces.map((text) => `/${text}`).join("") + rest || "/");
  const routes = fc.array(
    fc.record({
      hosts: someOf("a.example", "b.a.example", "*.example", "*.a.example"),
      path: fc.option(paths, { nil: undefined, freq: 8 }),
      methods: someOf("GET", "POST"),
      headers: wanted,
      query: wanted,
    }),
    { maxLength: 12 },
  );
  const requests = fc.record({
    host: fc.constantFrom("a.example", "B.A.example.:80", "c.example", "example", "c.b.a.example"),
    path: fc
      .array(fc.constantFrom("a", "b", "c.d", "e", ""), { maxLength: 4 })
      .map((pieces) => pieces.map((text) => `/${text}`).join("") || "/"),
    method: fc.constantFrom("GET", "POST"),
    headers: fc.array(fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom("1", "2")), { maxLength: 2 }),
    search: fc.constantFrom("", "?a=1", "?b=2&a", "?a=2"),
  });

  test("answers what trying one route after the other would", () => {
    fc.assert(
      fc.property(routes, fc.array(requests, { minLength: 1, maxLength: 5 }), (all, some) => {
        const router = compileRouter(all.map((match) => route(match)));
        for (const request of some) {
          const seen = facts(request);
          const expected = all.findIndex((match) => naive(route(match).match, seen));
          expect(router.match(seen)).toBe(expected);
          const verdicts = router.explain(seen);
          expect(verdicts.findIndex((verdict) => verdict.outcome === "taken")).toBe(expected);
          verdicts.forEach(({ outcome }, i) =>
            expect(outcome !== "missed").toBe(naive(route(all[i]).match, seen)),
          );
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

/** The meaning of a match, written down as plainly as it can be. */
function naive(match: MatchConfig, seen: RouteFacts): boolean {
  const host = seen.host.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
  const hostFits = match.hosts.some((wanted) =>
    wanted.startsWith("*.") ? host.endsWith(wanted.slice(1)) && host !== wanted.slice(1) : host === wanted,
  );
  if (match.hosts.length > 0 && !hostFits) return false;
  if (match.path !== undefined) {
    const rest = match.path.endsWith("/*");
    const literal = (rest ? match.path.slice(0, -2) : match.path)
      .replace(/\./g, "\\.")
      .replace(/:[a-z]/g, "[^/]+");
    if (!new RegExp(`^${literal}${rest ? "(/.*)?" : ""}$`).test(seen.path)) return false;
  }
  if (match.methods.length > 0 && !match.methods.includes(seen.method)) return false;
  const has = (values: string[], value: string | true) =>
    value === true ? values.length > 0 : values.includes(value);
  return (
    match.headers.every(([name, value]) => has(seen.headers.all(name), value)) &&
    match.query.every(([name, value]) => has(new URLSearchParams(seen.search).getAll(name), value))
  );
}
