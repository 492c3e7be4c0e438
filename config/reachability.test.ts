import { expect, test } from "bun:test";
import fc from "fast-check";
import { coversPath, pathPatternFault, pathShape } from "./path-syntax.ts";
import { shadows } from "./reachability.ts";
import type { MatchConfig } from "./types.ts";

const ANY: MatchConfig = { hosts: [], path: undefined, methods: [], headers: [], query: [] };

test.each<[string | undefined, string | undefined, boolean]>([
  [undefined, "/a", true],
  ["/*", undefined, true],
  ["/a", undefined, false],
  ["/a/*", "/a", true],
  ["/a/*", "/a/", true],
  ["/a/*", "/a/b/*", true],
  ["/a/*", "/a/*", true],
  ["/a/b/*", "/a/*", false],
  ["/a/*", "/ab", false],
  ["/a/:x", "/a/b", true],
  ["/a/:x", "/a/:y", true],
  ["/a/:x", "/a/", false],
  ["/a/:x", "/a/b/c", false],
  ["/a/:x", "/a/*", false],
  ["/a/b", "/a/:x", false],
  ["/:x/*", "/a/b/c", true],
])("%p covers %p: %p", (outer, inner, expected) => {
  expect(coversPath(pathShape(outer), pathShape(inner))).toBe(expected);
});

test("a pattern covers every path that is made by filling it in", () => {
  const segment = fc.constantFrom("a", "b", ":x", ":y");
  const pattern = fc.tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.boolean());
  fc.assert(
    fc.property(pattern, fc.array(fc.constantFrom("a", "b"), { maxLength: 3 }), ([segments, rest], more) => {
      const outer = `/${segments.join("/")}${rest ? "/*" : ""}`;
      const filled = segments.map((one) => (one.startsWith(":") ? "z" : one));
      const inner = `/${[...filled, ...(rest ? more : [])].join("/")}`;
      expect(coversPath(pathShape(outer), pathShape(inner))).toBe(true);
      expect(coversPath(pathShape(inner), pathShape(outer))).toBe(inner === outer);
    }),
  );
});

test.each<[Partial<MatchConfig>, Partial<MatchConfig>, boolean]>([
  [{}, { methods: ["GET"] }, true],
  [{ methods: ["GET", "HEAD"] }, { methods: ["HEAD"] }, true],
  [{ methods: ["GET"] }, { methods: ["GET", "HEAD"] }, false],
  [{ methods: ["GET"] }, {}, false],
  [{ hosts: ["*.a.com"] }, { hosts: ["x.a.com", "*.b.a.com", "y.x.a.com"] }, true],
  [{ hosts: ["*.a.com"] }, { hosts: ["a.com"] }, false],
  [{ hosts: ["*.a.com"] }, {}, false],
  [
    { headers: [["x", true]] },
    {
      headers: [
        ["x", "1"],
        ["y", "2"],
      ],
    },
    true,
  ],
  [{ headers: [["x", "1"]] }, { headers: [["x", true]] }, false],
  [{ query: [["x", "1"]] }, { headers: [["x", "1"]] }, false],
])("%j shadows %j: %p", (first, second, expected) => {
  expect(
    shadows([
      { ...ANY, ...first },
      { ...ANY, ...second },
    ]),
  ).toEqual([undefined, expected ? 0 : undefined]);
});

test.each([
  "/",
  "/a",
  "/a/",
  "/a//b",
  "/*",
  "/a/*",
  "/:id",
  "/a/:id/*",
  "/v1/models/x:predict",
  "/%7Ea/ü",
  "/t.Echo/*",
])("%s is a path pattern", (pattern) => {
  expect(pathPatternFault(pattern)).toBeUndefined();
});

test.each([
  "",
  "a",
  "/a*",
  "/*/a",
  "/**",
  "/:",
  "/:1",
  "/:a/:a",
  "/a?b",
  "/a#b",
  "/a b",
  "/\\",
  "/%",
  "/%0",
  "/%00",
  "/.",
  "/a/%2E%2e",
])("%p is none", (pattern) => {
  expect(pathPatternFault(pattern)).toBeString();
});

test("whatever the paths, the earlier route that is found is the first that covers them", () => {
  const segment = fc.constantFrom("a", "b", "", ":x", ":y");
  const path = fc.option(
    fc
      .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([segments, rest]) => `/${segments.join("/")}${rest ? "/*" : ""}`),
    { nil: undefined },
  );
  fc.assert(
    fc.property(fc.array(path, { maxLength: 12 }), (paths) => {
      const shapes = paths.map(pathShape);
      const expected = shapes.map((inner, index) => {
        const before = shapes.findIndex((outer, i) => i < index && coversPath(outer, inner));
        return before < 0 ? undefined : before;
      });
      expect(shadows(paths.map((one) => ({ ...ANY, path: one })))).toEqual(expected);
    }),
  );
});
