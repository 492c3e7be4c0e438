import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeaderList } from "sluice/plugin";
import { clientAddress } from "./client-address.ts";
import { compileTrust } from "../net/trusted-proxies.ts";

const trusts = compileTrust(["10.0.0.0/8", "::1", "unix"]);
type Fields = [name: string, value: string][];

function seen(peerAddress: string, headers: Fields) {
  return clientAddress({ peerAddress }, HeaderList.from(headers), trusts);
}

const xff = (...lines: string[]): Fields => lines.map((line) => ["x-forwarded-for", line]);
const forwarded = (...lines: string[]): Fields => lines.map((line) => ["forwarded", line]);

test("an untrusted peer is the client, whatever it claims", () => {
  const headers = [...xff("192.0.2.1"), ...forwarded("for=192.0.2.1")];
  expect(seen("203.0.113.7", headers)).toEqual({ address: "203.0.113.7", fromTrustedProxy: false });
});

test("an IPv4 peer on a socket for both families is named as IPv4", () => {
  expect(seen("::ffff:203.0.113.7", [])).toEqual({ address: "203.0.113.7", fromTrustedProxy: false });
  expect(seen("::ffff:10.0.0.1", xff("192.0.2.1"))).toEqual({ address: "192.0.2.1", fromTrustedProxy: true });
});

describe("X-Forwarded-For from a trusted proxy", () => {
  test.each<[string, string[], string]>([
    ["is missing", [], "10.0.0.1"],
    ["names one client", ["192.0.2.1"], "192.0.2.1"],
    ["is walked from the right", ["6.6.6.6, 192.0.2.1"], "192.0.2.1"],
    ["skips trusted proxies", ["6.6.6.6, 192.0.2.1, 10.2.2.2,10.3.3.3"], "192.0.2.1"],
    ["may stand in several lines", ["6.6.6.6", "192.0.2.1", "10.2.2.2"], "192.0.2.1"],
    ["names trusted proxies alone", ["10.9.9.9, 10.2.2.2"], "10.9.9.9"],
    ["may hold empty elements", ["192.0.2.1, ,"], "192.0.2.1"],
    ["may hold ports", ["192.0.2.1:4711"], "192.0.2.1"],
    ["may hold IPv6", ["2001:DB8::1"], "2001:db8::1"],
    ["may hold IPv6 in brackets", ["[2001:db8::1]"], "2001:db8::1"],
    ["may hold IPv6 with a port", ["[2001:db8::1]:4711, [::1]:80"], "2001:db8::1"],
    ["may hold IPv4-mapped IPv6", ["192.0.2.1, ::ffff:10.0.0.9"], "192.0.2.1"],
    ["ends at an entry that is no address", ["192.0.2.1, unknown, 10.2.2.2"], "10.2.2.2"],
    ["begins with an entry that is no address", ["192.0.2.1, evil"], "10.0.0.1"],
    ["does not read octal", ["010.0.0.1"], "10.0.0.1"],
  ])("%s", (_, lines, expected) => {
    expect(seen("10.0.0.1", xff(...lines))).toEqual({ address: expected, fromTrustedProxy: true });
  });

  test("goes before Forwarded", () => {
    expect(seen("10.0.0.1", [...forwarded("for=192.0.2.2"), ...xff("192.0.2.1")]).address).toBe("192.0.2.1");
  });

  test("is believed on a unix socket where `unix` is trusted", () => {
    expect(seen("unix", xff("192.0.2.1"))).toEqual({ address: "192.0.2.1", fromTrustedProxy: true });
    expect(clientAddress({ peerAddress: "unix" }, HeaderList.from(xff("192.0.2.1")), () => false)).toEqual({
      address: "unix",
      fromTrustedProxy: false,
    });
  });
});

describe("Forwarded from a trusted proxy (RFC 7239)", () => {
  test.each<[string, string[], string]>([
    ["§4: one element", ["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"],
    ["§4: case-insensitive", ['For="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17"],
    ["§4: several elements", ["for=6.6.6.6, for=192.0.2.43, for=10.1.1.1"], "192.0.2.43"],
    ["§7.1: several lines", ["for=192.0.2.43", 'for="10.1.1.1:80"'], "192.0.2.43"],
    ["§6.2: unknown", ["for=192.0.2.43, for=unknown"], "10.0.0.1"],
    ["§6.3: obfuscated", ["for=192.0.2.43, for=_SEVKISEK"], "10.0.0.1"],
    ["§6: obfuscated port", ['for="192.0.2.43:_port"'], "192.0.2.43"],
    ["an element without for", ["for=192.0.2.43, proto=https"], "10.0.0.1"],
    ["for twice", ["for=192.0.2.43;for=192.0.2.44"], "10.0.0.1"],
    ["for inside a quoted host", ['host="a;for=6.6.6.6";for=192.0.2.43'], "192.0.2.43"],
    ["a comma inside quotes", ['for=6.6.6.6, host="a, for=6.6.6.7";for=192.0.2.43'], "192.0.2.43"],
    ["an unbalanced quote of the client", ['for="6.6.6.6, for=192.0.2.43'], "192.0.2.43"],
    ["garbage", ["???"], "10.0.0.1"],
  ])("%s", (_, lines, expected) => {
    expect(seen("10.0.0.1", forwarded(...lines)).address).toBe(expected);
  });
});

test("what a client writes never hides the address that a trusted proxy saw", () => {
  const noise = fc.string({ maxLength: 30 }).map((text) => text.replace(/[^\x20-\x7e]/g, ""));
  fc.assert(
    fc.property(noise, fc.boolean(), (written, inOneLine) => {
      const lines = (own: string) => (inOneLine ? [`${written}, ${own}`] : [written, own]);
      expect(seen("10.0.0.1", xff(...lines("192.0.2.1"))).address).toBe("192.0.2.1");
      expect(seen("10.0.0.1", forwarded(...lines("for=192.0.2.1"))).address).toBe("192.0.2.1");
    }),
  );
});
