import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { normalizePath, normalizeTarget } from "./path.ts";

const SPELLINGS_OF_DOT = [".", "%2e", "%2E"];

const PIECES =
  "/|//|/.|/..|/%2e|/%2E%2e|/a|/b.c|...|%41|%7e|%2F|%2f|%5c|{|é|%c3%a9|;|:|%3a|%zz|%4|%00|\\| |?|a=b|#|%25|%252e";

/** Targets made of what a normal form has to deal with. */
const targets = fc
  .array(fc.constantFrom(...PIECES.split("|").concat("|")), { maxLength: 12 })
  .map((pieces) => `/${pieces.join("")}`);

function path(target: string): string | undefined {
  return normalizeTarget(target)?.path;
}

describe("normalizeTarget", () => {
  test.each([
    ["/", "/", ""],
    ["/a/b", "/a/b", ""],
    ["/a?x=1", "/a", "?x=1"],
    ["/a?", "/a", "?"],
    ["/?a?b", "/", "?a?b"],
    // The query passes byte for byte.
    ["/a?x=%zz&y=/../&z=%41", "/a", "?x=%zz&y=/../&z=%41"],
    ["/.?/..", "/", "?/.."],
  ])("takes %p apart", (target, expectedPath, search) => {
    expect(normalizeTarget(target)).toEqual({ path: expectedPath, search });
  });

  test.each([
    ["/./a", "/a"],
    ["/a/.", "/a/"],
    ["/a/..", "/"],
    ["/a/b/../c", "/a/c"],
    ["/a/./b/../../c/.", "/c/"],
    // RFC 3986 §5.4.2: more `..` than there are levels.
    ["/../../g", "/g"],
    ["/..", "/"],
    ["/%2e%2e/etc/passwd", "/etc/passwd"],
    ["/a/%2E./b", "/b"],
    ["/a/.%2e/b", "/b"],
    // No dot segments: more dots, or dots beside other characters.
    ["/...", "/..."],
    ["/.well-known/x", "/.well-known/x"],
    ["/a/..b/c", "/a/..b/c"],
    ["/a/..;/b", "/a/..;/b"],
    ["/%252e%252e/a", "/%252e%252e/a"],
  ])("removes dot segments: %p → %p (RFC 3986 §5.2.4)", (target, expected) => {
    expect(path(target)).toBe(expected);
  });

  test.each([
    ["//", "//"],
    ["/a//b", "/a//b"],
    ["/a//../b", "/a/b"],
    ["/..//x", "//x"],
    ["//host/x", "//host/x"],
  ])("keeps doubled slashes: %p → %p", (target, expected) => {
    expect(path(target)).toBe(expected);
  });

  test.each([
    ["/%41%62%7E%2d%5F", "/Ab~-_"],
    ["/a%2fb", "/a%2Fb"],
    ["/a%3bb;c", "/a%3Bb;c"],
    ["/%5c", "/%5C"],
    ["/{id}", "/%7Bid%7D"],
    ["/a|b", "/a%7Cb"],
    ["/\xc3\xa9", "/%C3%A9"],
    ["/%c3%a9", "/%C3%A9"],
    ["/%0a", "/%0A"],
    ["/!$&'()*+,;=:@[]", "/!$&'()*+,;=:@[]"],
  ])("has one form of each escape: %p → %p (RFC 3986 §6.2.2)", (target, expected) => {
    expect(path(target)).toBe(expected);
  });

  test.each([
    ["http://example.com", "/", ""],
    ["http://example.com/a/../b?x", "/b", "?x"],
    ["HTTPS://u@example.com:8443/a", "/a", ""],
    ["http://example.com?x=1", "/", "?x=1"],
    ["http://[::1]:80//a", "//a", ""],
  ])("cuts scheme and authority off %p (RFC 9112 §3.2.2)", (target, expectedPath, search) => {
    expect(normalizeTarget(target)).toEqual({ path: expectedPath, search });
  });

  test("knows the server as a whole for OPTIONS alone (RFC 9112 §3.2.4)", () => {
    expect(normalizeTarget("*", "OPTIONS")).toEqual({ path: "*", search: "" });
    expect(normalizeTarget("http://example.com", "OPTIONS")).toEqual({ path: "*", search: "" });
    expect(normalizeTarget("http://example.com/", "OPTIONS")).toEqual({ path: "/", search: "" });
    expect(normalizeTarget("*")).toBeUndefined();
    expect(normalizeTarget("*/a", "OPTIONS")).toBeUndefined();
  });

  test.each([
    "",
    "a",
    "?x",
    "example.com:443",
    "ftp://example.com/",
    "http:///a",
    "http://",
    "http:/a",
    "http://a\\b/",
    "/%",
    "/%4",
    "/%zz",
    "/%4g",
    "/a%",
    "/%00",
    "/a\\..\\b",
    "/a#b",
    "/a?b#c",
    "/a b",
    "/a?b c",
    "/a\tb",
    "/\x7f",
    "/a?\x00",
    "/\u0101",
    "/?\u0101",
  ])("refuses %p", (target) => {
    expect(normalizeTarget(target)).toBeUndefined();
  });

  test("is idempotent and leaves no dot segment, whatever came", () => {
    fc.assert(
      fc.property(targets, (target) => {
        const once = normalizeTarget(target);
        if (once === undefined) return;
        expect(normalizeTarget(once.path + once.search)).toEqual(once);
        expect(once.path).toStartWith("/");
        for (const segment of once.path.split("/")) expect([".", ".."]).not.toContain(segment);
        expect(once.path).toMatch(/^(?:[A-Za-z0-9\-._~:[\]@!$&'()*+,;=/]|%[0-9A-F]{2})+$/);
      }),
      { numRuns: 2_000 },
    );
  });

  test("answers the same for every spelling of a dot segment", () => {
    const dot = fc.constantFrom(...SPELLINGS_OF_DOT);
    const segment = fc.oneof(
      fc.constantFrom("", "a", "b", "%41").map((text) => ({ plain: text, spelled: text })),
      dot.map((text) => ({ plain: ".", spelled: text })),
      fc.tuple(dot, dot).map(([one, two]) => ({ plain: "..", spelled: one + two })),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
        const spelled = `/${segments.map((s) => s.spelled).join("/")}`;
        const plain = `/${segments.map((s) => s.plain).join("/")}`;
        expect(path(spelled)).toBe(path(plain));
      }),
    );
  });

  test("agrees with the URL standard where both leave the path's characters alone", () => {
    const segment = fc.constantFrom("", "a", "b", ".", "..", "%2e", "%2E.", "...", "a.b");
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 8 }), (segments) => {
        const target = `/${segments.join("/")}`;
        expect(path(target)).toBe(new URL(`http://h${target}`).pathname);
      }),
    );
  });
});

describe("normalizePath", () => {
  test.each([
    ["/café", "/caf%C3%A9"],
    ["/a/../b", "/b"],
    ["/日本/*", "/%E6%97%A5%E6%9C%AC/*"],
  ])("reads an operator's %p as UTF-8", (written, expected) => {
    expect(normalizePath(written)).toBe(expected);
  });

  test.each(["", "a", "/a?b", "/a#b", "/%zz", "*", "http://h/a"])("refuses %p", (written) => {
    expect(normalizePath(written)).toBeUndefined();
  });
});
