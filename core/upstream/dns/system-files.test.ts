import { expect, test } from "bun:test";
import { absoluteNames, hostsAddresses, searchRules } from "./system-files.ts";

test("a hosts file gives every address of a name and of an alias", () => {
  const text = [
    "127.0.0.1\tlocalhost",
    "10.0.0.1  db.example db  # the first",
    "# 10.0.0.9 db",
    "  10.0.0.2 other DB",
    "fd00::1 db",
    "not-an-address db",
    "10.0.0.3",
    "",
  ].join("\r\n");
  expect(hostsAddresses(text, "db")).toEqual(["10.0.0.1", "10.0.0.2", "fd00::1"]);
  expect(hostsAddresses(text, "Db.Example.")).toEqual(["10.0.0.1"]);
  expect(hostsAddresses(text, "d")).toEqual([]);
  expect(hostsAddresses("", "db")).toEqual([]);
});

test("the search list and ndots are the last that resolv.conf gives", () => {
  expect(searchRules("")).toEqual({ domains: [], ndots: 1 });
  expect(
    searchRules(
      "domain old.example\nsearch ns.svc.Cluster.local. svc ; c\noptions rotate ndots:5 ndots:x\nnameserver ::1",
    ),
  ).toEqual({ domains: ["ns.svc.cluster.local", "svc"], ndots: 5 });
  expect(searchRules("search a b\n domain c d\noptions ndots:99")).toEqual({ domains: ["c"], ndots: 15 });
  expect(searchRules("search .\nsearchx y\noptions")).toEqual({ domains: [], ndots: 1 });
});

test("names of few dots are searched for first, the others last, absolute ones never", () => {
  const rules = { domains: ["ns.svc", "svc"], ndots: 2 };
  expect(absoluteNames("api", rules)).toEqual(["api.ns.svc", "api.svc", "api"]);
  expect(absoluteNames("a.b.c", rules)).toEqual(["a.b.c", "a.b.c.ns.svc", "a.b.c.svc"]);
  expect(absoluteNames("api.", rules)).toEqual(["api."]);
  expect(absoluteNames("api", { domains: [], ndots: 1 })).toEqual(["api"]);
});
