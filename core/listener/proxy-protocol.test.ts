import { expect, test } from "bun:test";
import fc from "fast-check";
import { type ProxyHeader, readProxyHeader } from "./proxy-protocol.ts";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

function v2(command: number, family: number, body: Uint8Array, length = body.byteLength): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.of(0x20 | command, family, length >> 8, length & 0xff), body]);
}

const TCP4 = Buffer.of(203, 0, 113, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb);
const TCP6 = Buffer.concat([
  Buffer.from("20010db8000000000000000000000001", "hex"),
  Buffer.from("20010db8000000000000000000000002", "hex"),
  Buffer.of(0x12, 0x67, 0x01, 0xbb),
]);
const TLV = Buffer.of(0x01, 0, 2, 0x68, 0x32, 0x04, 0, 0);
const FROM = { address: "203.0.113.7", port: 4711 };
const TO = { address: "198.51.100.1", port: 443 };
const FROM6 = { address: "2001:db8::1", port: 4711 };
const TO6 = { address: "2001:db8::2", port: 443 };
const NOBODY = { source: undefined, destination: undefined };
const UNIX = { address: "unix", port: 0 };

const VALID: readonly (readonly [name: string, bytes: Buffer, expected: Omit<ProxyHeader, "length">])[] = [
  ["v1 TCP4", v1("TCP4 203.0.113.7 198.51.100.1 4711 443"), { source: FROM, destination: TO }],
  ["v1 TCP6", v1("TCP6 2001:DB8:0:0::1 2001:db8::2 4711 443"), { source: FROM6, destination: TO6 }],
  [
    "v1 TCP6 of mapped IPv4",
    v1("TCP6 ::ffff:203.0.113.7 ::ffff:198.51.100.1 4711 443"),
    { source: FROM, destination: TO },
  ],
  ["v1 UNKNOWN", v1("UNKNOWN"), NOBODY],
  ["v1 UNKNOWN with words", v1("UNKNOWN ffff::1 ffff::2 65535 65535"), NOBODY],
  ["v2 TCP4", v2(1, 0x11, TCP4), { source: FROM, destination: TO }],
  ["v2 TCP4 with TLVs", v2(1, 0x11, Buffer.concat([TCP4, TLV])), { source: FROM, destination: TO }],
  ["v2 TCP6", v2(1, 0x21, TCP6), { source: FROM6, destination: TO6 }],
  ["v2 unix", v2(1, 0x31, Buffer.alloc(216)), { source: UNIX, destination: UNIX }],
  ["v2 LOCAL", v2(0, 0x00, Buffer.alloc(0)), NOBODY],
  ["v2 LOCAL with addresses", v2(0, 0x11, TCP4), NOBODY],
  ["v2 unspecified family", v2(1, 0x00, TLV), NOBODY],
];

function v1(words: string): Buffer {
  return Buffer.from(`PROXY ${words}\r\n`);
}

test.each(VALID)("%s is read, however much of it is there", (_name, bytes, expected) => {
  for (let length = 0; length < bytes.byteLength; length++) {
    expect(readProxyHeader(bytes.subarray(0, length))).toBeUndefined();
  }
  const whole = { length: bytes.byteLength, ...expected };
  expect(readProxyHeader(bytes)).toEqual(whole);
  expect(readProxyHeader(Buffer.concat([bytes, Buffer.from("GET / HTTP/1.1\r\n\r\n")]))).toEqual(whole);
});

test.each([
  ["no header", Buffer.from("GET / HTTP/1.1\r\n"), "does not begin with"],
  ["almost a v2 header", Buffer.from("\r\n\r\nGET", "latin1"), "does not begin with"],
  ["v1 without end", Buffer.from(`PROXY TCP4 ${"1".repeat(200)}`), "too long"],
  ["v1 with LF only", Buffer.from("PROXY UNKNOWN\n"), "without CRLF"],
  ["v1 of UDP", v1("UDP4 1.2.3.4 1.2.3.4 1 2"), "unknown family"],
  ["v1 with too little", v1("TCP4 1.2.3.4 1.2.3.4 1"), "without two addresses"],
  ["v1 with too much", v1("TCP4 1.2.3.4 1.2.3.4 1 2 3"), "without two addresses"],
  ["v1 with two spaces", v1("TCP4  1.2.3.4 1.2.3.4 1 2"), "without two addresses"],
  ["v1 with a wrong family", v1("TCP4 ::1 ::1 1 2"), "illegal address"],
  ["v1 with a zone", v1("TCP6 fe80::1%eth0 ::1 1 2"), "illegal address"],
  ["v1 with octal", v1("TCP4 010.2.3.4 1.2.3.4 1 2"), "illegal address"],
  ["v1 with a port of 65536", v1("TCP4 1.2.3.4 1.2.3.4 65536 2"), "illegal address"],
  ["v1 with a port of 01", v1("TCP4 1.2.3.4 1.2.3.4 01 2"), "illegal address"],
  ["v2 of version 1", Buffer.concat([SIGNATURE, Buffer.of(0x11, 0x11, 0, 0)]), "version other than 2"],
  ["v2 with an unknown command", v2(2, 0x11, TCP4), "unknown command"],
  ["v2 of UDP", v2(1, 0x12, TCP4), "family"],
  ["v2 cut short", v2(1, 0x21, TCP4), "too short"],
  ["v2 with a TLV that sticks out", v2(1, 0x11, Buffer.concat([TCP4, Buffer.of(1, 0, 9)])), "broken TLV"],
  ["v2 with half a TLV", v2(1, 0x11, Buffer.concat([TCP4, Buffer.of(1, 0)])), "broken TLV"],
  ["v2 that is huge", v2(1, 0x11, TCP4, 65_535), "too long"],
])("%s is refused", (_name, bytes, fault) => {
  expect(readProxyHeader(bytes)).toEqual({ fault: expect.stringContaining(fault) });
});

test("nothing that anybody sends makes it throw or read on for ever", () => {
  const start = fc.constantFrom(Buffer.alloc(0), SIGNATURE, Buffer.from("PROXY "), v2(1, 0x11, TCP4));
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (before, after) => {
      const bytes = Buffer.concat([before, after]);
      const header = readProxyHeader(bytes);
      if (header !== undefined && "length" in header) expect(header.length).toBeLessThanOrEqual(bytes.length);
    }),
  );
  expect(readProxyHeader(Buffer.concat([SIGNATURE, Buffer.alloc(20_000)]))).toHaveProperty("fault");
});
