import { expect, test } from "bun:test";
import { headerMap, headerName } from "sluice/plugin";
import { z } from "zod";

test("names are taken in any case and answered in lower case", () => {
  expect(headerName().parse("X-Request-ID")).toBe("x-request-id");
  expect(headerMap(z.string()).parse({ "X-B": "2", "x-a": "1" })).toEqual({ "x-b": "2", "x-a": "1" });
});

test.each(["", "x y", "x:y", ":path", "é", "x\r\ny"])("%j is no name", (name) => {
  const { error } = headerName().safeParse(name);
  expect(error?.issues.map((issue) => issue.message)).toEqual(["expected the name of a header field"]);
});

test.each(["Connection", "content-length", "Transfer-Encoding", "TE", "upgrade"])(
  "%s is not for plugins",
  (name) => {
    const { error } = headerName().safeParse(name);
    expect(error?.issues.map((issue) => issue.message)).toEqual([
      `${name} belongs to the connection and is written by the gateway`,
    ]);
  },
);

test("a map names a field once", () => {
  const { error } = headerMap(z.string()).safeParse({ "X-A": "1", "x-b": "2", "x-a": "3" });
  expect(error?.issues).toMatchObject([{ path: ["x-a"], message: "x-a is the same field as X-A above" }]);
});

test("JSON Schema says string", () => {
  expect(z.toJSONSchema(headerName(), { io: "input" })).toMatchObject({ type: "string" });
  expect(z.toJSONSchema(headerMap(z.boolean()), { io: "input" })).toMatchObject({
    type: "object",
    additionalProperties: { type: "boolean" },
  });
});
