import { expect, test } from "bun:test";
import fc from "fast-check";
import { HeaderList } from "sluice/plugin";
import { isSecretName, masked, maskQuery, maskText } from "./mask.ts";

test("names of secrets are known in the spellings of headers, queries, YAML and JavaScript", () => {
  const secrets = [
    "authorization Authorization proxy-authorization cookie Set-Cookie cookies password db_password passphrase",
    "token access_token accessToken refreshToken x-api-key apiKey api_key APIKEY client_secret clientSecret",
    "secrets credentials private-key privateKey session signature x-amz-signature id.token jwt",
  ];
  for (const name of secrets.join(" ").split(" ")) expect([name, isSecretName(name)]).toEqual([name, true]);
  const plain = "token_count tokens max_tokens authorized author cookieless keyboard monkey key path name";
  for (const name of plain.split(" ")) expect([name, isSecretName(name)]).toEqual([name, false]);
});

test("what stands under a secret's name is masked at any depth, in maps and in header lists", () => {
  const fields = {
    user: "ann",
    request: { headers: { Authorization: "Bearer abc", accept: "*/*" }, list: [{ clientSecret: 1 }] },
    map: new Map([["api_key", "k"]]),
    headers: new Headers({ cookie: "a=b", "x-plain": "1" }),
    pairs: [
      ["set-cookie", "sid=1"],
      ["via", "1.1 x"],
    ],
  };
  expect(masked(fields)).toEqual({
    user: "ann",
    request: { headers: { Authorization: "***", accept: "*/*" }, list: [{ clientSecret: "***" }] },
    map: { api_key: "***" },
    headers: { cookie: "***", "x-plain": "1" },
    pairs: [
      ["set-cookie", "***"],
      ["via", "1.1 x"],
    ],
  });
});

test("names of `redact` count everywhere, in the causes of errors as well", () => {
  const extra = new Set(["x-mine"]);
  const cause = { "X-Mine": "hidden", other: 1 };
  const text = JSON.stringify(masked({ "x-mine": "hidden", err: new Error("e", { cause }) }, extra));
  expect(text).not.toContain("hidden");
  expect(text).toContain('"other":1');
});

test("secrets that show by their form are masked inside of texts", () => {
  expect(maskText("GET https://me:pw@host/p?token=abc&page=2#x failed")).toBe(
    "GET https://***@host/p?token=***&page=*** failed",
  );
  expect(maskText("sent Authorization: Bearer eyJhbGciOi.J9.x1")).toBe("sent Authorization: Bearer ***");
  expect(maskText("Basic dXNlcjpwYXNz=")).toBe("Basic ***");
  expect(maskText("basic authentication. is it? why")).toBe("basic authentication. is it? why");
  expect(JSON.stringify(masked(new Error("no answer from http://h/?key=12345")))).not.toContain("12345");
  expect(JSON.stringify(masked({ url: new URL("http://h/?key=12345") }))).not.toContain("12345");
});

test("every value of a query is masked, and what stands alone may be a token", () => {
  expect(maskQuery("?q=a&token=b=c&&bare&empty=")).toBe("?q=***&token=***&&***&empty=***");
  expect(maskQuery("?")).toBe("?");
});

test("errors keep type, message, stack, code and cause", () => {
  class Refused extends Error {
    override name = "Refused";
    code = "ECONNREFUSED";
  }
  const copy = masked(new Refused("outer", { cause: new Error("inner") }));
  expect(copy).toMatchObject({
    type: "Refused",
    message: "outer",
    code: "ECONNREFUSED",
    stack: expect.stringContaining("Refused: outer") as string,
    cause: { type: "Error", message: "inner" },
  });
});

test("size is bounded: text, breadth, depth, bytes and cycles", () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]));
  const huge = {
    ...{ loop, wide, long: "x".repeat(10_000_000), bytes: new Uint8Array(10_000_000) },
    list: Array.from({ length: 100_000 }, (_, i) => i),
  };
  expect(JSON.stringify(masked(huge)).length).toBeLessThan(40_000);
});

test("masking long hostile texts takes no long time", () => {
  const hostile = ["http://", "://@", "basic ", "bearer\t", "?a=", "a:b@", "&", "://x?"];
  const began = performance.now();
  for (const part of hostile) maskText(part.repeat(1_000_000));
  expect(performance.now() - began).toBeLessThan(1_000);
});

test("nothing that is logged throws, whatever it does when it is looked at", () => {
  const hostile: unknown[] = [
    {
      get boom(): never {
        throw new Error("no");
      },
      fine: 1,
    },
    new Proxy(
      {},
      {
        ownKeys() {
          throw new Error("no");
        },
      },
    ),
    Object.assign(new Error("x"), { message: { toString: null } }),
    Object.defineProperty(new Error("x"), "stack", {
      get() {
        throw new Error("no");
      },
    }),
    { [Symbol.iterator]: 1 },
    new Date(Number.NaN),
    Symbol("s"),
    () => 1,
    1n,
  ];
  for (const value of hostile) expect(() => JSON.stringify(masked({ value }))).not.toThrow();
  expect(masked(hostile[0])).toEqual({ boom: "(unreadable)", fine: 1 });
});

test("any plain data can be masked, and its secrets are gone", () => {
  fc.assert(
    fc.property(fc.object({ withBigInt: true, withDate: true, withMap: true, withSet: true }), (value) => {
      const secret = "s3cr3t-value";
      const text = JSON.stringify(masked({ ...value, password: secret, nested: { token: [secret] } }));
      expect(text).not.toContain(secret);
    }),
    { numRuns: 200 },
  );
});

test("a list of header fields shows its names", () => {
  const headers = new HeaderList(["authorization", "Bearer abcdef123", "accept", "text/plain"]);
  expect(masked({ headers })).toEqual({ headers: { authorization: "***", accept: "text/plain" } });
});

test("an object that is full of itself costs what a line may hold, and no more", () => {
  const dense: Record<string, unknown> = {};
  for (let i = 0; i < 90; i++) dense[`field${i}`] = dense;
  expect(JSON.stringify(masked(dense)).length).toBeLessThan(200_000);
  expect(JSON.stringify(masked({ list: Array.from({ length: 90 }, () => dense) })).length).toBeLessThan(
    200_000,
  );
});

test("a URL's fragment is masked as its query is", () => {
  expect(maskText("see https://a.test/cb#access_token=abc&x=1 there")).toBe(
    "see https://a.test/cb#*** there",
  );
  expect(maskText("https://a.test/?q=1#frag")).toBe("https://a.test/?q=***");
});
