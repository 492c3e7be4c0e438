import { expect, test } from "bun:test";
import {
  type CallProtocol,
  CONSUMER,
  type ContextKey,
  type Exchange,
  HeaderList,
  TENANT,
} from "sluice/plugin";
import type { ConditionConfig } from "../../config/types.ts";
import { compileCondition } from "./condition.ts";

const NONE: ConditionConfig = {
  hosts: [],
  path: undefined,
  methods: [],
  headers: [],
  query: [],
  consumers: [],
  tenants: [],
  protocols: [],
  not: undefined,
};

interface Request {
  readonly authority?: string;
  readonly path?: string;
  readonly method?: string;
  readonly search?: string;
  readonly headers?: [string, string][];
  readonly protocol?: CallProtocol;
  readonly consumer?: string;
  readonly tenant?: string;
}

/** As much of an exchange as a condition looks at. */
function exchange(request: Request): Exchange {
  const context = new Map<ContextKey<string | undefined>, string | undefined>([
    [CONSUMER, request.consumer],
    [TENANT, request.tenant],
  ]);
  return {
    protocol: request.protocol ?? "http",
    request: {
      method: request.method ?? "GET",
      rawTarget: "/",
      scheme: "http",
      authority: request.authority ?? "example.com",
      path: request.path ?? "/",
      search: request.search ?? "",
      headers: HeaderList.from(request.headers ?? []),
      body: null,
    },
    get: (key: ContextKey<string | undefined>) => context.get(key),
  } as Partial<Exchange> as Exchange;
}

function holds(condition: Partial<ConditionConfig>, request: Request = {}): boolean {
  return compileCondition({ ...NONE, ...condition })(exchange(request));
}

test.each<[string, Partial<ConditionConfig>, Request, Request]>([
  ["host", { hosts: ["*.a.example"] }, { authority: "B.a.example:80" }, { authority: "a.example" }],
  ["path", { path: "/api/*" }, { path: "/api/x" }, { path: "/apix" }],
  ["method", { methods: ["POST", "PUT"] }, { method: "PUT" }, { method: "GET" }],
  ["header", { headers: [["x-a", "1"]] }, { headers: [["x-a", "1"]] }, { headers: [["x-a", "2"]] }],
  ["query", { query: [["q", true]] }, { search: "?q" }, { search: "?p" }],
  ["consumer", { consumers: ["a", "b"] }, { consumer: "b" }, { consumer: "c" }],
  ["no consumer", { consumers: ["a"] }, { consumer: "a" }, {}],
  ["tenant", { tenants: ["t"] }, { tenant: "t" }, {}],
  ["protocol", { protocols: ["grpc", "connect"] }, { protocol: "connect" }, { protocol: "grpc-web" }],
  ["not", { not: { ...NONE, path: "/health" } }, { path: "/x" }, { path: "/health" }],
  [
    "not every field",
    { not: { ...NONE, path: "/x", methods: ["GET"] } },
    { path: "/x", method: "PUT" },
    { path: "/x" },
  ],
  ["not not", { not: { ...NONE, not: { ...NONE, tenants: ["t"] } } }, { tenant: "t" }, {}],
  ["several", { path: "/x", tenants: ["t"] }, { path: "/x", tenant: "t" }, { path: "/x" }],
])("%s", (_, condition, yes, no) => {
  expect(holds(condition, yes)).toBe(true);
  expect(holds(condition, no)).toBe(false);
});

test("an empty condition holds, and its negation never does", () => {
  expect(holds({})).toBe(true);
  expect(holds({ not: NONE })).toBe(false);
});

test("a path that is none is refused when the condition is compiled", () => {
  expect(() => compileCondition({ ...NONE, path: "x" })).toThrow('"x" is not a path');
  expect(() => compileCondition({ ...NONE, not: { ...NONE, path: "/%zz" } })).toThrow("/%zz");
});
