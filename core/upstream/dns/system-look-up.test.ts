import { expect, test } from "bun:test";
import { promises } from "node:dns";
import { systemClock } from "../../services/clock.ts";
import { temporaryDir } from "../../testing/temporary-dir.ts";
import { codeOf, type LookUpAnswer, type Question } from "./look-up.ts";
import { createLookUp, systemLookUp } from "./system-look-up.ts";
import {
  a,
  aaaa,
  type Asked,
  cname,
  REFUSED,
  type Reply,
  SERVFAIL,
  srv,
  startDns,
  type TestDns,
} from "./test-dns-server.ts";

const question = (servers: readonly string[], fields: Partial<Question> = {}): Question => ({
  name: "api.test",
  srv: false,
  family: "auto",
  timeout: 5_000,
  ...fields,
  servers,
});

/** A server that knows `records` by type and name. */
function zone(records: Readonly<Record<string, Reply>>): Promise<TestDns> {
  return startDns(({ type, name }: Asked) => records[`${type} ${name.toLowerCase()}`]);
}

const places = (answer: LookUpAnswer) => answer.addresses.map(({ address }) => address).sort();

async function failureOf(answer: Promise<LookUpAnswer>): Promise<string> {
  return codeOf(
    await answer.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
}

test("the addresses of a name with the shortest TTL, aliases included", async () => {
  await using dns = await zone({
    "A api.test": [a("api.test", "10.0.0.1", 9), a("api.test", "10.0.0.2", 7)],
    "A alias.test": [
      cname("alias.test", "middle.test", 100),
      cname("middle.test", "api.test", 3),
      a("api.test", "10.0.0.3", 50),
    ],
  });
  const answer = await systemLookUp(question([dns.address]));
  expect(answer).toEqual({
    addresses: ["10.0.0.1", "10.0.0.2"].map((address) => ({
      ...{ address, port: undefined, weight: undefined, priority: undefined },
    })),
    ttl: 7_000,
    failed: [],
  });
  // One question: nobody needs the IPv6 addresses of a name that has IPv4 ones.
  expect(dns.asked).toEqual(["A api.test udp"]);
  const alias = await systemLookUp(question([dns.address], { name: "ALIAS.test" }));
  expect([places(alias), alias.ttl]).toEqual([["10.0.0.3"], 3_000]);
});

test("families as they are asked for", async () => {
  await using dns = await zone({
    "A both.test": [a("both.test", "10.0.0.1", 20)],
    "AAAA both.test": [aaaa("both.test", "fd00::1", 10)],
    "A six.test": [],
    "AAAA six.test": [aaaa("six.test", "fd00::6", 10)],
  });
  const found = async (name: string, family: Question["family"]) => {
    const { addresses, ttl } = await systemLookUp(question([dns.address], { name, family }));
    return [...addresses.map(({ address }) => address), ttl];
  };
  expect(await found("both.test", "auto")).toEqual(["10.0.0.1", 20_000]);
  expect(await found("both.test", "ipv4")).toEqual(["10.0.0.1", 20_000]);
  expect(await found("both.test", "ipv6")).toEqual(["fd00::1", 10_000]);
  expect(await found("both.test", "all")).toEqual(["10.0.0.1", "fd00::1", 10_000]);
  expect(await found("six.test", "auto")).toEqual(["fd00::6", 10_000]);
  expect(await found("six.test", "all")).toEqual(["fd00::6", 10_000]);
  expect((await found("six.test", "ipv4")).slice(0, -1)).toEqual([]);
});

test("a name that has nothing is an answer; failures say which", async () => {
  await using dns = await zone({
    "A empty.test": [],
    "AAAA empty.test": [],
    "A dangling.test": [cname("dangling.test", "nowhere.test")],
    "A broken.test": SERVFAIL,
    // It may well have IPv4 addresses, so IPv6 is no way round.
    "AAAA broken.test": [aaaa("broken.test", "fd00::1")],
    "A refused.test": REFUSED,
    "A junk.test": new TextEncoder().encode("this is no DNS message"),
  });
  for (const name of ["nxdomain.test", "empty.test", "dangling.test", `${"long".repeat(16)}.test`]) {
    expect([name, places(await systemLookUp(question([dns.address], { name })))]).toEqual([name, []]);
  }
  const failures = ["broken.test", "refused.test", "junk.test"].map((name) =>
    failureOf(systemLookUp(question([dns.address], { name }))),
  );
  expect(await Promise.all(failures)).toEqual(["ESERVFAIL", "EREFUSED", "EBADRESP"]);
  expect(await failureOf(systemLookUp(question(["dns.example:53"])))).toBe("ERR_INVALID_IP_ADDRESS");
});

test("half of the families failing leaves the other half", async () => {
  await using dns = await zone({
    "A api.test": [a("api.test", "10.0.0.1")],
    "AAAA api.test": SERVFAIL,
    "A none.test": [],
    "AAAA none.test": SERVFAIL,
  });
  const half = await systemLookUp(question([dns.address], { family: "all" }));
  expect(places(half)).toEqual(["10.0.0.1"]);
  expect(half.failed).toEqual([{ host: undefined, family: 6, code: "ESERVFAIL" }]);
  const none = systemLookUp(question([dns.address], { family: "all", name: "none.test" }));
  expect(await failureOf(none)).toBe("ESERVFAIL");
});

test("an answer that is too long for UDP comes over TCP", async () => {
  const many = Array.from({ length: 300 }, (_, i) => a("api.test", `10.0.${i >> 8}.${i & 255}`));
  await using dns = await startDns(({ over }) => (over === "udp" ? "truncated" : many));
  const answer = await systemLookUp(question([dns.address]));
  expect(answer.addresses).toHaveLength(300);
  expect(dns.asked).toEqual(["A api.test udp", "A api.test tcp"]);
});

test("silence ends with the time allowed, and another server is asked meanwhile", async () => {
  await using silent = await startDns(() => "silence");
  await using dns = await zone({ "A api.test": [a("api.test", "10.0.0.1")] });
  const begun = performance.now();
  const alone = failureOf(systemLookUp(question([silent.address], { timeout: 100 })));
  const twice = systemLookUp(question([silent.address, dns.address]));
  expect(await alone).toBe("timeout");
  expect(performance.now() - begun).toBeLessThan(900);
  expect(places(await twice)).toEqual(["10.0.0.1"]);
});

test("each look-up asks anew, whatever the TTL", async () => {
  let address = "10.0.0.1";
  await using dns = await startDns(() => [a("api.test", address, 3_600)]);
  expect(places(await systemLookUp(question([dns.address])))).toEqual(["10.0.0.1"]);
  address = "10.0.0.2";
  expect(places(await systemLookUp(question([dns.address])))).toEqual(["10.0.0.2"]);
});

test("services with the addresses of their targets", async () => {
  await using dns = await zone({
    "SRV _http._tcp.test": [
      srv("_http._tcp.test", "One.test", 8_001, 5, 1),
      srv("_http._tcp.test", "two.test", 8_002, 0, 2),
      srv("_http._tcp.test", "localhost", 8_003, 1, 2),
      srv("_http._tcp.test", "gone.test", 8_004, 1, 2),
      srv("_http._tcp.test", "broken.test", 8_005, 1, 2),
    ],
    "A one.test": [a("one.test", "10.0.0.1", 8), a("one.test", "10.0.0.2", 4)],
    "A two.test": [cname("two.test", "three.test"), a("three.test", "10.0.0.3")],
    "A broken.test": SERVFAIL,
  });
  const answer = await systemLookUp(question([dns.address], { name: "_http._tcp.test", srv: true }));
  expect(answer.addresses).toEqual([
    { address: "10.0.0.1", port: 8_001, weight: 5, priority: 1, host: "one.test" },
    { address: "10.0.0.2", port: 8_001, weight: 5, priority: 1, host: "one.test" },
    { address: "10.0.0.3", port: 8_002, weight: 0, priority: 2, host: "two.test" },
    { address: "127.0.0.1", port: 8_003, weight: 1, priority: 2, host: "localhost" },
  ]);
  expect(answer.ttl).toBe(4_000);
  expect(answer.failed?.[0]).toEqual({ host: "broken.test", family: 4, code: "ESERVFAIL" });
});

test("a service that there is not, and one that nobody knows of", async () => {
  await using dns = await zone({
    "SRV none.test": [srv("none.test", ".", 0)],
    "SRV broken.test": SERVFAIL,
  });
  const none = await systemLookUp(question([dns.address], { name: "none.test", srv: true }));
  expect([none.addresses, none.ttl, none.failed]).toEqual([[], 10_000, []]);
  expect(dns.asked).toEqual(["SRV none.test udp"]);
  expect(places(await systemLookUp(question([dns.address], { name: "what.test", srv: true })))).toEqual([]);
  expect(await failureOf(systemLookUp(question([dns.address], { name: "broken.test", srv: true })))).toBe(
    "ESERVFAIL",
  );
});

test("a thousand targets are asked for a few at a time", async () => {
  const hosts = Array.from({ length: 1_000 }, (_, i) => `h${i}.test`);
  await using dns = await startDns(({ type, name }) => {
    if (type === "SRV") return hosts.map((host) => srv("all.test", host, 80));
    const i = Number(/^h(\d+)/.exec(name)?.[1]);
    return [a(name, `10.0.${i >> 8}.${i & 255}`)];
  });
  const answer = await systemLookUp(question([dns.address], { name: "all.test", srv: true }));
  expect(new Set(places(answer)).size).toBe(1_000);
  expect(answer.failed).toEqual([]);
});

/** The system's way, with a server and files of the test's own. */
function systemWith(files: { hosts?: string; resolvConf?: string }, dns: TestDns) {
  const dir = temporaryDir({ hosts: files.hosts ?? "", "resolv.conf": files.resolvConf ?? "" });
  const lookUp = createLookUp({
    clock: systemClock,
    hosts: `${dir.path}/hosts`,
    resolvConf: `${dir.path}/resolv.conf`,
    servers: [dns.address],
  });
  return Object.assign(lookUp, { [Symbol.dispose]: () => dir[Symbol.dispose]() });
}

test("the system's hosts file comes first and is read each time", async () => {
  await using dns = await zone({ "A api.test": [a("api.test", "10.0.0.9", 5)] });
  using dir = temporaryDir();
  const lookUp = createLookUp({
    clock: systemClock,
    hosts: `${dir.path}/hosts`,
    resolvConf: `${dir.path}/resolv.conf`,
    servers: [dns.address],
  });
  // Neither of the files is there.
  const remote = await lookUp(question([]));
  expect([places(remote), remote.ttl]).toEqual([["10.0.0.9"], 5_000]);
  dir.write("hosts", "fd00::1 api.test\n10.0.0.1 other API.test\n10.0.0.2 api.test\n");
  const local = await lookUp(question([]));
  expect([places(local), local.ttl]).toEqual([["10.0.0.1", "10.0.0.2"], 30_000]);
  expect(places(await lookUp(question([], { family: "all" })))).toEqual(["10.0.0.1", "10.0.0.2", "fd00::1"]);
  expect(places(await lookUp(question([], { family: "ipv6" })))).toEqual(["fd00::1"]);
  // A question with servers is for those alone.
  expect(places(await lookUp(question([dns.address])))).toEqual(["10.0.0.9"]);
});

test("the system's search domains are tried in order, and a failure ends the search", async () => {
  await using dns = await zone({
    "A api.svc.test": [a("api.svc.test", "10.0.0.1")],
    "A api.test": [a("api.test", "10.0.0.2")],
    "A db.ns.test": SERVFAIL,
    "A db.test": [a("db.test", "10.0.0.3")],
    "SRV _http._tcp.svc.test": [srv("_http._tcp.svc.test", "api.test", 80)],
  });
  using lookUp = systemWith({ resolvConf: "search ns.test svc.test test\noptions ndots:2\n" }, dns);
  expect(places(await lookUp(question([], { name: "api" })))).toEqual(["10.0.0.1"]);
  expect(places(await lookUp(question([], { name: "api.test." })))).toEqual(["10.0.0.2"]);
  // Another name of the list has an address, but it may be somebody else's.
  expect(await failureOf(lookUp(question([], { name: "db" })))).toBe("ESERVFAIL");
  expect(places(await lookUp(question([], { name: "_http._tcp", srv: true })))).toEqual(["10.0.0.2"]);
  // With servers of its own a name is absolute.
  expect(places(await lookUp(question([dns.address], { name: "api" })))).toEqual([]);
});

test("what DNS does not know, the C library may", async () => {
  await using dns = await zone({});
  using lookUp = systemWith({}, dns);
  const answer = await lookUp(question([], { name: "localhost", family: "ipv4" }));
  expect([places(answer), answer.ttl]).toEqual([["127.0.0.1"], 30_000]);
  // No label is that long: the library asks nobody.
  const name = `${"x".repeat(64)}.test`;
  const nothing = await Promise.all([lookUp(question([], { name })), lookUp(question([], { name }))]);
  expect(nothing.map(places)).toEqual([[], []]);
});

test("this machine's names are found as the C library finds them", async () => {
  const hosts = await Bun.file("/etc/hosts").text();
  for (const name of ["localhost", ...(hosts.match(/(?<=^127\S*\s(?:.*\s)?)[a-z][\w.-]*/gim) ?? [])]) {
    const inLibrary = await promises.lookup(name, { all: true, family: 4 });
    const answer = await systemLookUp(question([], { name, family: "ipv4" }));
    expect(new Set(places(answer))).toEqual(new Set(inLibrary.map(({ address }) => address)));
  }
});
