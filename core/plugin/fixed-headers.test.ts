import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FixedHeaders, HeaderList } from "./index.ts";

const name = fc.constantFrom("a", "b", "c", "x-request-id", "server");
const value = fc.constantFrom("1", "2", "a longer value", "");
const fields = fc.array(fc.tuple(name, value), { maxLength: 8 });

/** What calls of one field at a time come to. */
function oneByOne(on: HeaderList, each: (name: string, value: string) => void, of: FixedHeaders): string[] {
  for (let i = 0; i < of.flat.length; i += 2) each(of.flat[i]!, of.flat[i + 1]!);
  return on.flat;
}

describe("FixedHeaders", () => {
  test("takes names in any case, and the last value of a name", () => {
    const fixed = new FixedHeaders([
      ["X-Frame-Options", "DENY"],
      ["server", "x"],
      ["x-frame-options", "SAMEORIGIN"],
    ]);
    expect(fixed.flat).toEqual(["x-frame-options", "SAMEORIGIN", "server", "x"]);
    expect(fixed.names.has("x-frame-options")).toBe(true);
  });

  test("refuses what may not stand in a message", () => {
    expect(() => new FixedHeaders([["a b", "1"]])).toThrow(TypeError);
    expect(() => new FixedHeaders([["a", "1\r\nb: 2"]])).toThrow(TypeError);
  });

  test("addMissing adds what is not there, as one by one", () => {
    fc.assert(
      fc.property(fields, fields, (there, pairs) => {
        const fixed = new FixedHeaders(pairs);
        const list = HeaderList.from(there);
        const other = HeaderList.from(there);
        list.addMissing(fixed);
        const wanted = oneByOne(
          other,
          (key, text) => void (other.has(key) || other.append(key, text)),
          fixed,
        );
        expect(list.flat).toEqual(wanted);
      }),
    );
  });

  test("setAll leaves each once, with the new value, and the others as they were", () => {
    fc.assert(
      fc.property(fields, fields, (there, pairs) => {
        const fixed = new FixedHeaders(pairs);
        const list = HeaderList.from(there);
        list.setAll(fixed);
        for (let i = 0; i < fixed.flat.length; i += 2)
          expect(list.all(fixed.flat[i]!)).toEqual([fixed.flat[i + 1]!]);
        const others = there.filter(([key]) => !fixed.names.has(key));
        expect([...list].filter(([key]) => !fixed.names.has(key))).toEqual(others);
      }),
    );
  });

  test("deleteAll removes every field of the names, and says whether there was one", () => {
    fc.assert(
      fc.property(fields, fc.uniqueArray(name), (there, names) => {
        const list = HeaderList.from(there);
        const removed = list.deleteAll(new Set(names));
        const left = there.filter(([key]) => !names.includes(key));
        expect([...list]).toEqual(left);
        expect(removed).toBe(left.length < there.length);
      }),
    );
  });

  test("a plugin that uses up every name that is remembered changes nothing for others", () => {
    const list = new HeaderList();
    for (let i = 0; i < 5_000; i++) list.set(`X-Made-Up-${i}`, "1");
    list.set("X-After", "2");
    expect(list.get("x-after")).toBe("2");
    expect(list.get("x-made-up-4999")).toBe("1");
    expect(() => list.set("not a name", "1")).toThrow(TypeError);
  });
});
