import { expect, test } from "bun:test";
import { isName } from "./is-name.ts";

test("names are looked up; addresses and localhost are not", () => {
  for (const name of [
    "api",
    "api.example",
    "api.example.",
    "localhost.example",
    "notlocalhost",
    "1.2.3",
    "a1.2.3.4",
  ])
    expect([name, isName(name)]).toEqual([name, true]);
  for (const host of [
    ...["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:10.0.0.1", "fe80::1%eth0"],
    ...["localhost", "LocalHost", "localhost.", "app.localhost", "a.b.localhost."],
  ])
    expect([host, isName(host)]).toEqual([host, false]);
});
