import { expect, test } from "bun:test";
import { compileRewrite } from "./rewrite.ts";

type Rewrite = { stripPrefix?: string; replace?: string };

function rewritten(rewrite: Rewrite, path: string): string {
  return compileRewrite({ stripPrefix: rewrite.stripPrefix, replace: rewrite.replace })(path);
}

test.each<[Rewrite, string, string]>([
  [{ stripPrefix: "/pair" }, "/pair/x", "/x"],
  [{ stripPrefix: "/pair" }, "/pair", "/"],
  [{ stripPrefix: "/pair" }, "/pair/", "/"],
  [{ stripPrefix: "/pair" }, "/pair//x", "//x"],
  [{ stripPrefix: "/pair" }, "/pairs", "/pairs"],
  [{ stripPrefix: "/pair" }, "/other", "/other"],
  [{ stripPrefix: "/pair/" }, "/pair/x", "/x"],
  [{ stripPrefix: "/a/b" }, "/a/b/c", "/c"],
  [{ stripPrefix: "/" }, "/a", "/a"],
  [{ stripPrefix: "/" }, "*", "*"],
  [{ stripPrefix: "/café" }, "/caf%C3%A9/x", "/x"],
  [{ replace: "/y" }, "/a/b", "/y"],
  [{ replace: "/y/" }, "/", "/y/"],
  [{ stripPrefix: "/pair", replace: "/y" }, "/pair/x", "/y/x"],
  [{ stripPrefix: "/pair", replace: "/y" }, "/pair", "/y"],
  [{ stripPrefix: "/pair", replace: "/y/" }, "/pair/x", "/y/x"],
  [{ stripPrefix: "/pair", replace: "/y" }, "/pairs", "/pairs"],
  [{ stripPrefix: "/", replace: "/v2" }, "/a", "/v2/a"],
  [{}, "/a", "/a"],
])("%p: %p → %p", (rewrite, path, expected) => {
  expect(rewritten(rewrite, path)).toBe(expected);
});

test("without a rewrite the path stays", () => {
  expect(compileRewrite(undefined)("/a")).toBe("/a");
});

test("refuses what is no path, when it is compiled", () => {
  expect(() => compileRewrite({ stripPrefix: "pair", replace: undefined })).toThrow(
    '"pair" is not an absolute path',
  );
  expect(() => compileRewrite({ stripPrefix: undefined, replace: "/a?b" })).toThrow("/a?b");
});
