import { describe, expect, test } from "bun:test";
import { CONSUMER, type ContextKey, type Exchange, HeaderList, TENANT, TRACE_ID } from "sluice/plugin";
import fc from "fast-check";
import { compileTemplate, FACT_NAMES } from "./template.ts";

const context = new Map<ContextKey<unknown>, unknown>([
  [CONSUMER, "team-a"],
  [TRACE_ID, "4bf92f3577b34da6a3ce929d0e0e4736"],
]);

const EXCHANGE: Partial<Exchange> = {
  clientAddress: "203.0.113.7",
  httpVersion: "2",
  protocol: "http",
  requestId: "id-1",
  route: "r\u00e4ume",
  request: {
    method: "GET",
    rawTarget: "/a%20b?c",
    scheme: "https",
    authority: "api.example.com:8443",
    path: "/a%20b",
    search: "?c",
    headers: HeaderList.from([
      ["x-a", "1"],
      ["x-a", "2"],
      ["x-latin", "caf\u00e9"],
    ]),
    body: null,
  },
  get: <T>(key: ContextKey<T>): T => (context.has(key) ? context.get(key) : key.initial) as T,
};

const fill = (text: string): string => compileTemplate(text)(EXCHANGE as Exchange);

describe("placeholders", () => {
  test.each([
    ["{client_address}", "203.0.113.7"],
    ["{consumer}", "team-a"],
    ["{host}", "api.example.com:8443"],
    ["{http_version}", "2"],
    ["{method}", "GET"],
    ["{path}", "/a%20b"],
    ["{protocol}", "http"],
    ["{request_id}", "id-1"],
    ["{scheme}", "https"],
    ["{trace_id}", "4bf92f3577b34da6a3ce929d0e0e4736"],
    ["{header.x-a}", "1, 2"],
    ["{header.X-A}", "1, 2"],
    ["{header.x-none}", ""],
    ["{tenant}", ""],
    ["{scheme}://{host}{path}", "https://api.example.com:8443/a%20b"],
    ["by {consumer} of {tenant}", "by team-a of"],
    ["plain", "plain"],
  ])("%s is %j", (text, value) => {
    expect(fill(text)).toBe(value);
  });

  test("every fact has a value or none", () => {
    for (const name of FACT_NAMES) expect(typeof fill(`{${name}}`)).toBe("string");
    expect(context.has(TENANT)).toBe(false);
  });

  test("braces that mean themselves are doubled", () => {
    expect(fill(`{{"group":"{consumer}"}}`)).toBe(`{"group":"team-a"}`);
  });

  test("what is no ASCII is percent-encoded, save the bytes of another header", () => {
    expect(fill("{route}")).toBe("r%C3%A4ume");
    expect(fill("{header.x-latin}")).toBe("caf\u00e9");
  });

  test("no fact makes an illegal value", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (consumer) => {
        const exchange = { ...EXCHANGE, get: () => consumer } as unknown as Exchange;
        new HeaderList().append("x", `.${compileTemplate("{consumer}")(exchange)}`);
      }),
    );
  });
});

describe("what is refused", () => {
  test.each([
    ["{client_adress}", "unknown placeholder {client_adress}, did you mean {client_address}?"],
    ["{headers}", "unknown placeholder {headers}, did you mean {header.NAME}?"],
    ["{nothing.like.it}", "unknown placeholder {nothing.like.it}"],
    ["{toString}", "unknown placeholder {toString}"],
    ['{"a":1}', "a single { is written {{"],
    ["{}", "a single { is written {{"],
    ["a { b", "a single { is written {{"],
    ["a } b", "a single } is written }}"],
    ["{{a}", "a single } is written }}"],
    ["caf\u00e9", "a header value is printable ASCII"],
    ["a\r\nx: y", "a header value is printable ASCII"],
    ["", "a header value is not empty; use remove to take a field away"],
    [" a", "a header value has no blanks around it"],
  ])("%j", (text, message) => {
    expect(() => compileTemplate(text)).toThrow(message);
  });
});
