import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatAddress, isLoopback, parseAddress } from "./address.ts";
import { normalHostPattern } from "./host-name.ts";
import { parseNetwork } from "./network.ts";
import { parseTarget } from "./upstream/target-url.ts";

describe("addresses", () => {
  test.each([
    ["127.0.0.1:8080", { kind: "tcp", host: "127.0.0.1", port: 8080 }],
    ["localhost:0", { kind: "tcp", host: "localhost", port: 0 }],
    ["[::]:443", { kind: "tcp", host: "::", port: 443 }],
    ["unix:/run/x.sock", { kind: "unix", path: "/run/x.sock" }],
    ["unix:./x.sock", { kind: "unix", path: "/etc/sluice/x.sock" }],
    ["unix:../x.sock", { kind: "unix", path: "/etc/x.sock" }],
  ] as const)("%s", (text, address) => {
    const parsed = parseAddress(text, "/etc/sluice");
    expect(parsed).toEqual(address);
    if (typeof parsed !== "string") expect(parseAddress(formatAddress(parsed), "/")).toEqual(parsed);
  });

  test("a socket's path must fit into the kernel's address", () => {
    expect(parseAddress(`unix:/${"x".repeat(106)}`, "/")).toEqual({
      kind: "unix",
      path: `/${"x".repeat(106)}`,
    });
    expect(parseAddress(`unix:/${"x".repeat(107)}`, "/")).toBe("a socket's path has at most 107 bytes");
  });

  test.each([
    ["127.0.0.1:1", true],
    ["127.8.8.8:1", true],
    ["[::1]:1", true],
    ["unix:/x", true],
    ["127.example.com:1", false],
    ["0.0.0.0:1", false],
    ["10.0.0.1:1", false],
    ["[::]:1", false],
  ])("%s is loopback: %p", (text, expected) => {
    const parsed = parseAddress(text, "/");
    expect(typeof parsed === "string" ? undefined : isLoopback(parsed)).toBe(expected);
  });

  test("any other text is refused in words", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0129.:[]unix/a-") }), (text) => {
        const parsed = parseAddress(text, "/etc");
        if (typeof parsed === "string") expect(parsed).not.toBe("");
        else expect(parseAddress(formatAddress(parsed), "/etc")).toEqual(parsed);
      }),
    );
  });
});

describe("targets", () => {
  const plain = { scheme: "http", port: 80, socketPath: undefined, basePath: "", srv: false };

  test.each([
    ["http://127.0.0.1:9000", { ...plain, host: "127.0.0.1", port: 9000 }],
    ["https://example.com", { ...plain, scheme: "https", host: "example.com", port: 443 }],
    ["http://[::1]:9000/base/", { ...plain, host: "::1", port: 9000, basePath: "/base" }],
    ["http://a_b/v1/%7Ex", { ...plain, host: "a_b", basePath: "/v1/%7Ex" }],
    [
      "http+srv://_http._tcp.api.internal/base",
      { ...plain, host: "_http._tcp.api.internal", port: 0, basePath: "/base", srv: true },
    ],
    ["https+srv://_x", { ...plain, scheme: "https", host: "_x", port: 0, srv: true }],
    [
      "unix:./app.sock",
      { ...plain, scheme: "unix", host: "localhost", port: 0, socketPath: "/etc/app.sock" },
    ],
  ])("%s", (url, parts) => {
    expect(parseTarget(url, "/etc")).toEqual({ url: url.replace(/\/$/, ""), ...parts } as never);
  });
});

describe("hosts of a match", () => {
  test.each([
    ["Example.COM", "example.com"],
    ["*.Example.com", "*.example.com"],
    ["münchen.example", "xn--mnchen-3ya.example"],
    ["10.0.0.1", "10.0.0.1"],
    ["[::1]", "[::1]"],
    ["localhost", "localhost"],
  ])("%s", (text, host) => {
    expect(normalHostPattern(text)).toEqual({ host });
  });

  test.each(["", "a..b", "1.2.3.4.5", "a b", "*.*.com", "*.1.2.3.4", `${"a".repeat(64)}.com`])(
    "%p is refused",
    (text) => {
      expect(normalHostPattern(text)).toBeString();
    },
  );
});

describe("networks", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.0.0.1", "10.0.0.1/32"],
    ["::1", "::1/128"],
    ["fd00::/8", "fd00::/8"],
    ["::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104"],
  ])("%s", (text, network) => {
    expect(parseNetwork(text)).toBe(network);
  });

  test.each([
    "",
    "10/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "010.0.0.0/8",
    "::1%lo",
    "::/129",
    "a",
    "1.2.3.4/8/8",
  ])("%p is none", (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });
});
