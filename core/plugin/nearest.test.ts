import { expect, test } from "bun:test";
import { nearest } from "sluice/plugin";

test.each([
  ["client_adress", "client_address"],
  ["clientaddress", "client_address"],
  ["client-address", "client_address"],
  ["HOST", "host"],
  ["tenent", "tenant"],
  ["tenants_name", "tenant"],
  ["tneant", "tenant"],
  ["client", "client_address"],
])("%s was probably meant to be %s", (word, meant) => {
  expect(nearest(word, ["host", "client_address", "consumer", "tenant"])).toBe(meant);
});

test("candidates may be read once only, and what fits several of them is none", () => {
  const candidates = new Map([
    ["connect", 1],
    ["connection", 2],
  ]);
  expect(nearest("conn", candidates.keys())).toBeUndefined();
  expect(nearest("conect", candidates.keys())).toBe("connect");
  expect(nearest("reset-all", new Set(["reset"]).values())).toBe("reset");
});

test.each(["x", "", "colour", "a".repeat(1_000)])("nothing is near to %s", (word) => {
  expect(nearest(word, ["host", "client_address", "consumer", "tenant"])).toBeUndefined();
});
