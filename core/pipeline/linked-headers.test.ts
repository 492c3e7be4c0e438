import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeaderList } from "sluice/plugin";
import { fetchValue, flatten, HeaderLink } from "./linked-headers.ts";

function linked(flat: string[], isOurs: (name: string) => boolean = () => false) {
  const list = new HeaderList(flat);
  const native = list.toHeaders();
  return { list, native, link: new HeaderLink(native, list, isOurs) };
}

describe("linked headers", () => {
  test("a change of the Headers touches nothing else in the list", () => {
    const { list, native } = linked([
      "x-b",
      "1",
      "set-cookie",
      "a=1",
      "x-a",
      "1",
      "x-b",
      "2",
      "set-cookie",
      "b=2",
    ]);
    native.set("X-A", " 3 ");
    native.append("set-cookie", "c=3");
    native.delete("x-none");
    expect(list.flat).toEqual([
      ...["x-b", "1", "set-cookie", "a=1", "x-a", "3", "x-b", "2", "set-cookie", "b=2", "set-cookie", "c=3"],
    ]);
    native.delete("x-b");
    expect(list.has("x-b")).toBe(false);
  });

  test("a change of the list arrives with sync, cookies one by one", () => {
    const { list, native, link } = linked(["x-a", "1", "set-cookie", "a=1"]);
    list.append("set-cookie", "b=2");
    list.set("x-n", "2");
    list.delete("x-a");
    native.set("x-m", "3");
    link.sync();
    expect(native.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect([native.get("x-m"), native.get("x-n"), native.has("x-a")]).toEqual(["3", "2", false]);
  });

  test("fields of ours are shown and do not flow back", () => {
    const { list, native } = linked(["x-a", "1"], (name) => name === "host");
    native.set("host", "h");
    native.delete("Host");
    native.append("HOST", "other");
    expect(list.flat).toEqual(["x-a", "1"]);
    expect(native.get("host")).toBe("other");
  });

  test("a copy with changes is taken over", () => {
    const { list, native, link } = linked(["x-a", "1", "x-b", "2", "x-c", "3"]);
    const copy = new Headers(native);
    copy.delete("x-a");
    copy.set("x-b", "4");
    copy.append("x-d", "5");
    link.take(copy);
    expect(list.flat).toEqual(["x-b", "4", "x-c", "3", "x-d", "5"]);
    expect(native.get("x-b")).toBe("4");
  });

  test("an illegal field is refused by both and changes neither", () => {
    const { list, native } = linked(["x-a", "1"]);
    expect(() => native.set("x a", "1")).toThrow(TypeError);
    expect(() => native.set("x-a", "1\n2")).toThrow(TypeError);
    expect(() => native.append("x-a", "☃")).toThrow(TypeError);
    expect(list.flat).toEqual(["x-a", "1"]);
    expect(native.get("x-a")).toBe("1");
  });

  test("a change of the Headers comes after what was done to the list", () => {
    const { list, native } = linked([]);
    native.set("x-a", "1");
    list.delete("x-a");
    native.append("x-a", "1");
    expect(native.get("x-a")).toBe("1");
    expect(list.flat).toEqual(["x-a", "1"]);
  });

  test("both say the same after any changes in any order", () => {
    const name = fc.constantFrom("a", "B", "set-cookie", "vary");
    const value = fc.string({ maxLength: 4 }).map((text) => text.replaceAll(/[^!-~ ]/g, ""));
    const change = fc.tuple(
      fc.constantFrom("native", "list"),
      fc.constantFrom("set", "append", "delete"),
      name,
      value,
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const { list, native, link } = linked(["a", "0", "set-cookie", "x=y", "set-cookie", "z=1"]);
        for (const [side, what, key, text] of changes) {
          const target = side === "native" ? native : list;
          if (what === "delete") target.delete(key);
          else target[what](key, side === "native" ? text : fetchValue(text));
        }
        link.sync();
        expect(flatten(native)).toEqual(flatten(list.toHeaders()));
      }),
    );
  });
});
