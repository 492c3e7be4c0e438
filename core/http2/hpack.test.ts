import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { COMPRESSION_ERROR, ConnectionError } from "./frames.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { OutBuffer } from "./out-buffer.ts";

const LIMITS = { headerBytes: 65_536, headerCount: 200 };
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const decoder = () => new HpackDecoder(LIMITS);

function decoded(one: HpackDecoder, block: Buffer): { flat: string[]; flaw: string | undefined } {
  return { flat: one.decode(block), flaw: one.flaw };
}

function encode(encoder: HpackEncoder, flat: readonly string[]): Buffer {
  const out = new OutBuffer(16);
  encoder.encode(flat, out);
  return Buffer.from(out.bytes.subarray(0, out.end));
}

// The examples of RFC 7541 Appendix C: three blocks each on one connection.

const REQUESTS = [
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"],
  [
    ...[":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"],
    ...["cache-control", "no-cache"],
  ],
  [
    ...[":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com"],
    ...["custom-key", "custom-value"],
  ],
];

for (const [section, blocks] of [
  [
    "C.3, without Huffman code",
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
  ],
  [
    "C.4, with Huffman code",
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ],
] as const) {
  test(`RFC 7541 ${section}`, () => {
    const one = decoder();
    for (const [i, block] of blocks.entries()) {
      expect(decoded(one, hex(block))).toEqual({ flat: REQUESTS[i]!, flaw: undefined });
    }
  });
}

test("RFC 7541 C.6: answers with Huffman code, and entries that are evicted from a table of 256 bytes", () => {
  const one = decoder();
  // The example's table is set by the settings; here the block says it (3f e1 01).
  const first = one.decode(
    hex(
      "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    ),
  );
  const date = "Mon, 21 Oct 2013 20:13:21 GMT";
  const location = "https://www.example.com";
  expect(first).toEqual([
    ...[":status", "302", "cache-control", "private", "date", date, "location", location],
  ]);
  expect(one.decode(hex("4883 640e ffc1 c0bf"))).toEqual([
    ...[":status", "307", "cache-control", "private", "date", date, "location", location],
  ]);
  const third = one.decode(
    hex(
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ),
  );
  expect(third).toEqual([
    ...[":status", "200", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:22 GMT"],
    ...["location", location, "content-encoding", "gzip"],
    ...["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ]);
});

test("what repeats costs a byte a field", () => {
  const encoder = new HpackEncoder();
  const call = [
    ...[":method", "POST", ":scheme", "http", ":authority", "a.test", ":path", "/t.Echo/Unary"],
    ...["content-type", "application/grpc", "te", "trailers", "user-agent", "grpc-test"],
  ];
  const first = encode(encoder, call);
  const second = encode(encoder, call);
  expect(second.byteLength).toBe(6 + 1 + 1 + "/t.Echo/Unary".length);
  const one = decoder();
  expect(one.decode(first)).toEqual(call);
  expect(one.decode(second)).toEqual(call);
});

test("credentials are marked as never to be indexed, and are not", () => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < 2; i++) expect(encode(encoder, ["authorization", "x"])[0]! & 0xf0).toBe(0x10);
});

test("a peer's smaller table is kept to and announced", () => {
  const encoder = new HpackEncoder();
  encode(encoder, ["x-a", "1"]);
  encoder.tableSize = 0;
  encoder.tableSize = 100;
  const one = decoder();
  // Shrunk to nothing in between: what was in the table is gone (RFC 7541 §4.2).
  const block = encode(encoder, ["x-a", "1"]);
  expect([...block.subarray(0, 2)]).toEqual([0x20, 0x3f]);
  expect(one.decode(block)).toEqual(["x-a", "1"]);
  encoder.tableSize = 0;
  for (let i = 0; i < 2; i++) expect(one.decode(encode(encoder, ["x-a", "1"]))).toEqual(["x-a", "1"]);
});

const token = fc
  .array(fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz0123456789-_"), { minLength: 1, maxLength: 20 })
  .map((parts) => parts.join(""));
const value = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => bytes.map((byte) => ((byte < 0x20 && byte !== 9) || byte === 0x7f ? 0x78 : byte)))
  .map((bytes) => Buffer.from(bytes).toString("latin1").trim());
const small = fc.constantFrom("", "1", "application/grpc", "trailers");
const name = fc.oneof(
  token,
  fc.constantFrom(":path", ":method", "cookie", "content-type", "te", "x-a", "x-b", "authorization"),
);
const list = fc.array(fc.tuple(name, fc.oneof(value, small)), { maxLength: 12 }).map((pairs) => pairs.flat());

test("any lists on one connection come out as they went in, whatever the table holds", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(list, fc.option(fc.nat(5_000))), { maxLength: 30 }), (lists) => {
      const encoder = new HpackEncoder();
      const one = decoder();
      for (const [flat, size] of lists) {
        if (size !== null) encoder.tableSize = size;
        expect(decoded(one, encode(encoder, flat))).toEqual({ flat, flaw: undefined });
      }
    }),
  );
});

test("any bytes are decoded or refused as a compression error, in bounded time", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const one = decoder();
      try {
        for (const block of blocks) one.decode(Buffer.from(block));
      } catch (error) {
        expect(error).toBeInstanceOf(ConnectionError);
        expect((error as ConnectionError).code).toBe(COMPRESSION_ERROR);
      }
    }),
    { numRuns: 2_000 },
  );
});

for (const [what, block] of [
  ["index 0", "80"],
  ["an index beyond the table", "be"],
  ["an integer without end", "ffffffffffffffffff"],
  ["a string beyond the block", "4003 6162"],
  ["padding of Huffman code that is not EOS", "40 01 61 81 00"],
  ["EOS in Huffman code", "40 01 61 84 ffffffff"],
  ["a table size behind a field", "82 20"],
  ["a table larger than agreed", "3fe2 1f"],
] as const) {
  test(`${what} is a compression error`, () => {
    expect(() => decoder().decode(hex(block))).toThrow(ConnectionError);
  });
}

for (const [what, flat, flaw] of [
  ["a capital", ["X-A", "1"], "an illegal header name"],
  ["a space in a name", ["x a", "1"], "an illegal header name"],
  ["a name without characters", ["", "1"], "an illegal header name"],
  ["a line break in a value", ["x-a", "1\r\nset-cookie: a=b"], "an illegal header value"],
  ["NUL in a value", ["x-a", "\0"], "an illegal header value"],
  ["an escape in a value", ["x-a", "\x1b[2J"], "an illegal header value"],
  ["DEL in a value", ["x-a", "\x7f"], "an illegal header value"],
] as const) {
  test(`${what} is a flaw, each time it is referred to, and the table follows`, () => {
    const encoder = new HpackEncoder();
    const one = decoder();
    for (let i = 0; i < 2; i++) expect(decoded(one, encode(encoder, flat)).flaw).toBe(flaw);
    expect(decoded(one, encode(encoder, ["x-ok", "1"]))).toEqual({ flat: ["x-ok", "1"], flaw: undefined });
  });
}

test("a list above the limits is a flaw, and the table follows", () => {
  const one = new HpackDecoder({ headerBytes: 20, headerCount: 2 });
  const encoder = new HpackEncoder();
  expect(decoded(one, encode(encoder, ["a", "1", "b", "2", "c", "3"])).flaw).toBeDefined();
  expect(decoded(one, encode(encoder, ["a", "x".repeat(30)])).flaw).toBeDefined();
  expect(decoded(one, encode(encoder, ["b", "2", "c", "3"]))).toEqual({
    flat: ["b", "2", "c", "3"],
    flaw: undefined,
  });
});

test("a name that was refused once stays refused where only it is referred to", () => {
  const one = decoder();
  // `X-A: 1` with an index, and then its name with another value.
  expect(decoded(one, hex("40 03 582d41 01 31")).flaw).toBe("an illegal header name");
  expect(decoded(one, hex("0f2f 01 32")).flaw).toBe("an illegal header name");
});

test("a change of the table's size comes before the first field, even of one that was too large to keep", () => {
  const one = new HpackDecoder({ headerBytes: 2, headerCount: 100 });
  expect(() => one.decode(hex("00 01 61 03 626364 20"))).toThrow(ConnectionError);
});

test("what it takes to decode a large block does not stay with each connection", () => {
  // 200,000 times "0", which has five bits of code: a string of 127 + 124,873 bytes.
  const block = Buffer.concat([hex("0001 61 ff c9 cf 07"), Buffer.alloc(125_000)]);
  const limits = { headerBytes: 1_000_000, headerCount: 10 };
  const before = heapStats().extraMemorySize;
  const all = Array.from({ length: 100 }, () => {
    const one = new HpackDecoder(limits);
    expect(one.decode(Buffer.from(block))[1]!.length).toBe(200_000);
    return one;
  });
  Bun.gc(true);
  expect(heapStats().extraMemorySize - before).toBeLessThan(5_000_000);
  expect(all).toHaveLength(100);
});
