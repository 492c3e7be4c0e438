import { describe, expect, test } from "bun:test";
import * as contract from "./index.ts";
import { HeaderList, uncheckedHeaders } from "./headers.ts";

describe("a list that is made of fields", () => {
  test("has them in their order, names in lower case, and does not keep the array", () => {
    const given = ["X-A", "1", "b", "2", "x-a", "3"];
    const list = new HeaderList(given);
    given[1] = "changed";
    expect([...list]).toEqual([
      ["x-a", "1"],
      ["b", "2"],
      ["x-a", "3"],
    ]);
  });

  test.each([
    ["a value with a line break", ["location", "/a\r\nset-cookie: x=1"]],
    ["a value with NUL", ["x-a", "a\0"]],
    ["a value beyond latin-1", ["x-a", "\u2603"]],
    ["a name with a colon", ["x:a", "1"]],
    ["a name of nothing", ["", "1"]],
    ["a name without a value", ["x-a"]],
  ])("is refused for %s", (_what, flat) => {
    expect(() => new HeaderList(flat)).toThrow(TypeError);
  });

  test("a codec's is taken as it is, which plugins have no way to", () => {
    const flat = ["x-a", "1"];
    expect(uncheckedHeaders(flat).flat).toBe(flat);
    expect(Object.keys(contract)).not.toContain("uncheckedHeaders");
  });
});

test("a value that is no string is refused, which a plugin in JavaScript may pass", () => {
  const list = new HeaderList();
  for (const value of [5, null, undefined, {}, ["a"]]) {
    expect(() => list.append("x-a", value as string)).toThrow("the value of header x-a is not a string");
    expect(() => list.set("x-a", value as string)).toThrow(TypeError);
  }
  expect(list.size).toBe(0);
});
