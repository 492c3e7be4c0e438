import { expect, test } from "bun:test";
import { nearest } from "sluice/plugin";

test.each([
  ["client_adress", "client_address"],
  ["clientaddress", "client_address"],
  ["client-address", "client_address"],
  ["HOST", "host"],
  ["tenent", "tenant"],
])("%s was probably meant to be %s", (word, meant) => {
  expect(nearest(word, ["host", "client_address", "consumer", "tenant"])).toBe(meant);
});

test.each(["x", "colour", "a".repeat(1_000)])("nothing is near to %s", (word) => {
  expect(nearest(word, ["host", "client_address", "consumer", "tenant"])).toBeUndefined();
});
