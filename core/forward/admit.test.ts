import { expect, test } from "bun:test";
import { SluiceError } from "sluice/plugin";
import { admittedHeaders } from "./admit.ts";

test("a client's fields are what routes see of them", () => {
  const sent = [
    ["Host", "h"],
    ["X-Tenant", "a"],
    ["x_tenant", "forged"],
    ["X-Forwarded-For", "203.0.113.7"],
    ["Content-Length", "5"],
    ["Transfer-Encoding", "chunked"],
    ["Connection", "x-hop, keep-alive"],
    ["X-Hop", "1"],
    ["Upgrade", "websocket"],
    ["x-tenant", "b"],
  ] as const;
  expect([...admittedHeaders(sent, false)]).toEqual([
    ["x-tenant", "a"],
    ["x-tenant", "b"],
  ]);
  expect(admittedHeaders(sent, true).get("x-forwarded-for")).toBe("203.0.113.7");
});

test("an offer to upgrade is there where Connection makes it", () => {
  const sent = [
    ["Connection", "keep-alive, Upgrade"],
    ["Upgrade", "h2c, websocket"],
  ] as const;
  expect([...admittedHeaders(sent, false)]).toEqual([["upgrade", "websocket"]]);
});

test("what the gateway refuses is refused", () => {
  expect(() => admittedHeaders([["Connection", "authorization"]], false)).toThrow(SluiceError);
  expect(() => admittedHeaders([["x-a", "a\r\nb: c"]], false)).toThrow(TypeError);
});
