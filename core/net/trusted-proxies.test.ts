import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { canonicalAddress, ipv4Number } from "./ip-address.ts";
import { compileTrust } from "./trusted-proxies.ts";

test.each<[string, string, boolean]>([
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.1.2.3/8", "10.0.0.1", true],
  ["192.0.2.1", "192.0.2.1", true],
  ["192.0.2.1/32", "192.0.2.2", false],
  ["255.255.255.254/31", "255.255.255.255", true],
  ["0.0.0.0/0", "203.0.113.7", true],
  ["0.0.0.0/0", "::1", false],
  ["10.0.0.0/8", "::ffff:10.0.0.1", true],
  ["10.0.0.0/8", "::ffff:a00:1", true],
  ["::ffff:10.0.0.0/104", "10.9.9.9", true],
  ["::1/128", "::1", true],
  ["::1", "0:0:0:0:0:0:0:1", true],
  ["::1/128", "::2", false],
  ["::/0", "2001:db8::1", true],
  ["::/0", "192.0.2.1", false],
  ["fe80::/10", "fe80::1%eth0", true],
  ["10.0.0.0/8", "unix", false],
  ["0.0.0.0/0", "unix", false],
  ["unix", "unix", true],
  ["unix", "10.0.0.1", false],
  ["10.0.0.0/8", "010.0.0.1", false],
  ["10.0.0.0/8", "10.1", false],
  ["10.0.0.0/8", "", false],
  ["::/0", "not:an:address", false],
])("%p trusts %p: %p", (network, address, expected) => {
  const trusts = compileTrust([network]);
  expect(trusts(address)).toBe(expected);
  // The verdict that is remembered is the same.
  expect(trusts(address)).toBe(expected);
});

test("nobody is trusted without configuration", () => {
  expect(compileTrust([])("127.0.0.1")).toBe(false);
  expect(compileTrust([])("unix")).toBe(false);
});

test("refuses what is no network", () => {
  for (const network of ["10.0.0.0/33", "example.com", "", "10.0.0.0/8/8"]) {
    expect(() => compileTrust([network])).toThrow(`${JSON.stringify(network)} is no network`);
  }
});

test("remembers a bounded number of addresses and stays right", () => {
  const trusts = compileTrust(["2001:db8::/32"]);
  for (let i = 0; i < 10_000; i++) {
    expect(trusts(`2001:db8::${i.toString(16)}`)).toBe(true);
    expect(trusts(`2001:db9::${i.toString(16)}`)).toBe(false);
  }
});

test("agrees with ipaddr.js on any network and address", () => {
  const ipv4 = fc.ipV4();
  fc.assert(
    fc.property(ipv4, fc.integer({ min: 0, max: 32 }), ipv4, (network, bits, address) => {
      const cidr = `${network}/${bits}`;
      const expected = ipaddr.IPv4.parse(address).match(ipaddr.IPv4.parseCIDR(cidr));
      expect(compileTrust([cidr])(address)).toBe(expected);
    }),
  );
  const ipv6 = fc.ipV6().filter((text) => !ipaddr.IPv6.parse(text).isIPv4MappedAddress());
  fc.assert(
    fc.property(ipv6, fc.integer({ min: 0, max: 95 }), ipv6, (network, bits, address) => {
      const cidr = `${network}/${bits}`;
      const expected = ipaddr.IPv6.parse(address).match(ipaddr.IPv6.parseCIDR(cidr));
      expect(compileTrust([cidr])(address)).toBe(expected);
    }),
  );
});

describe("an address", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:201", "192.0.2.1"],
    ["fe80::1%eth0", "fe80::1"],
  ])("%p is written %p", (text, expected) => {
    expect(canonicalAddress(text)).toBe(expected);
  });

  test.each([
    "",
    "unknown",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "0x7f.0.0.1",
    "::g",
    "[::1]",
  ])("%p is none", (text) => {
    expect(canonicalAddress(text)).toBeUndefined();
  });

  test("of IPv4 is read as ipaddr.js reads four decimals", () => {
    const octet = fc.oneof(fc.nat(300).map(String), fc.constantFrom("", "00", "01", "a", " 1"));
    const dotted = fc.array(octet, { minLength: 3, maxLength: 5 }).map((octets) => octets.join("."));
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), dotted), (text) => {
        expect(ipv4Number(text) >= 0).toBe(ipaddr.IPv4.isValidFourPartDecimal(text));
      }),
    );
  });
});
