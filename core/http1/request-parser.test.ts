import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { copyOf, encodeRequest } from "./encoder.ts";
import { CHUNKED, NO_BODY } from "./framing.ts";
import { HeaderList } from "sluice/plugin";
import { RequestParser } from "./request-parser.ts";
import { bytesOf, cutAt, cuts, outcome } from "./test-messages.ts";

const LIMITS = { headerBytes: 4096, headerCount: 50, url: 1024 };

/** The head in plain data, with what followed it; undefined when the pieces hold no complete head. */
function parse(pieces: readonly Uint8Array[], limits = LIMITS) {
  const parser = new RequestParser(limits);
  for (const [i, piece] of pieces.entries()) {
    const head = parser.parse(piece, 0);
    if (head === undefined) continue;
    const rest = Buffer.concat([piece.subarray(parser.next), ...pieces.slice(i + 1)]);
    return { ...head, headers: [...head.headers.flat], rest: rest.toString("latin1") };
  }
  return undefined;
}

function parseText(text: string, limits = LIMITS) {
  return outcome(() => parse([bytesOf(text)], limits));
}

const PLAIN =
  "GET /a/b?c=d HTTP/1.1\r\nHost: example.com\r\nUser-Agent: t\r\nX-Odd:  two  words \t\r\nX-Empty:\r\n\r\n";

describe("a request's head", () => {
  test("is read with its fields in order, names in lower case, white space around values gone", () => {
    expect(parseText(`${PLAIN}rest`)).toEqual({
      method: "GET",
      rawTarget: "/a/b?c=d",
      version: "1.1",
      authority: "example.com",
      headers: ["user-agent", "t", "x-odd", "two  words", "x-empty", ""],
      framing: NO_BODY,
      keepAlive: true,
      expectContinue: false,
      upgrade: undefined,
      rest: "rest",
    });
  });

  test.each([
    ["Content-Length: 12", 12],
    ["content-LENGTH:0", 0],
    ["Content-Length: 007", 7],
    ["Transfer-Encoding: chunked", CHUNKED],
    ["Transfer-Encoding: Chunked", CHUNKED],
    ["Accept: x", NO_BODY],
  ])("takes its framing from %p and removes that field", (field, framing) => {
    const head = parseText(`POST / HTTP/1.1\r\nHost: h\r\n${field}\r\n\r\n`);
    expect(head).toMatchObject({ framing, headers: field.startsWith("Accept") ? ["accept", "x"] : [] });
  });

  test.each([
    ["1.1", "", true],
    ["1.1", "Connection: close", false],
    ["1.1", "Connection: Keep-Alive, CLOSE", false],
    ["1.1", "Connection: foo\r\nConnection: close", false],
    ["1.0", "", false],
    ["1.0", "Connection: Keep-Alive", true],
    ["1.0", "Connection: keep-alive, close", false],
  ])("HTTP/%s with %p: connection lives on is %p (RFC 9112 §9.3)", (version, field, keepAlive) => {
    expect(parseText(`GET / HTTP/${version}\r\nHost: h\r\n${field}${field && "\r\n"}\r\n`)).toMatchObject({
      keepAlive,
    });
  });

  test("knows an upgrade only where Connection names it (RFC 9110 §7.8)", () => {
    const named =
      "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    expect(parseText(named)).toMatchObject({
      upgrade: "websocket",
      headers: ["connection", "keep-alive, Upgrade", "upgrade", "websocket"],
    });
    expect(parseText("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n")).toMatchObject({
      upgrade: undefined,
    });
  });

  test.each([
    ["Connection: \xa0upgrade", "a no-break space is no white space (RFC 9110 §5.6.3)"],
    ["Connection: upgrade\r\nContent-Length: 1", "one with a body is ignored (RFC 9110 §7.8)"],
    ["Connection: upgrade\r\nTransfer-Encoding: chunked", "one with chunks is ignored"],
  ])("takes %j for no upgrade: %s", (fields) => {
    expect(parseText(`GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\n${fields}\r\n\r\n`)).toMatchObject({
      upgrade: undefined,
    });
  });

  test("Expect: 100-continue is a fact and no field; HTTP/1.0 has no such thing (RFC 9110 §10.1.1)", () => {
    const text = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
    expect(parseText(text)).toMatchObject({ expectContinue: true, headers: [] });
    expect(parseText(text.replace("1.1", "1.0"))).toMatchObject({ expectContinue: false });
  });

  test("drops names with an underscore", () => {
    expect(
      parseText("GET / HTTP/1.1\r\nHost: h\r\nX_User: root\r\nContent_Length: 5\r\nX-User: me\r\n\r\n"),
    ).toMatchObject({
      headers: ["x-user", "me"],
      framing: NO_BODY,
    });
  });

  test.each([
    ["absolute-form", "GET http://Example.com/x HTTP/1.1\r\nHost: example.com\r\n\r\n", "example.com"],
    ["absolute-form with the default port", "GET http://a:80/x HTTP/1.1\r\nHost: a\r\n\r\n", "a"],
    ["absolute-form without a path", "GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", "a"],
    ["absolute-form in HTTP/1.0 without Host", "GET http://a:8/x HTTP/1.0\r\n\r\n", "a:8"],
    ["HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", ""],
    ["an IPv6 literal", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n", "[2001:db8::1]:8080"],
    ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a"],
  ])("names its authority: %s", (_, text, authority) => {
    expect(parseText(text)).toMatchObject({ authority });
  });

  test("obs-text and tabs in values pass byte for byte (RFC 9110 §5.5)", () => {
    expect(parseText("GET / HTTP/1.1\r\nHost: h\r\nX: caf\xe9\tbar \xff\r\n\r\n")).toMatchObject({
      headers: ["x", "caf\xe9\tbar \xff"],
    });
  });

  test("two empty lines before it are forgiven, a third is not (RFC 9112 §2.2)", () => {
    expect(parseText(`\r\n\r\n${PLAIN}`)).toMatchObject({ method: "GET" });
    expect(parseText(`\r\n\r\n\r\n${PLAIN}`)).toMatchObject({ refused: "bad_request" });
  });

  test("the next one begins where it ended", () => {
    const parser = new RequestParser(LIMITS);
    const bytes = bytesOf("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(parser.parse(bytes, 0)?.rawTarget).toBe("/1");
    expect(parser.parse(bytes, parser.next)?.rawTarget).toBe("/2");
    expect(parser.next).toBe(bytes.byteLength);
    expect(parser.started).toBeFalse();
  });
});

describe("limits on a head", () => {
  const block = (bytes: number) => `Host: h\r\nX: ${"x".repeat(bytes - 14)}\r\n`;

  test("header bytes: up to the limit and not one more", () => {
    expect(block(200)).toHaveLength(200);
    const limits = { ...LIMITS, headerBytes: 200 };
    expect(parseText(`GET / HTTP/1.1\r\n${block(200)}\r\n`, limits)).toMatchObject({ method: "GET" });
    expect(parseText(`GET / HTTP/1.1\r\n${block(201)}\r\n`, limits)).toMatchObject({
      refused: "headers_too_large",
    });
  });

  test("header fields", () => {
    const limits = { ...LIMITS, headerCount: 3 };
    expect(parseText("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n", limits)).toMatchObject({
      method: "GET",
    });
    expect(parseText("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits)).toMatchObject({
      refused: "headers_too_large",
    });
  });

  test("target bytes", () => {
    const limits = { ...LIMITS, url: 10 };
    expect(parseText("GET /123456789 HTTP/1.1\r\nHost: h\r\n\r\n", limits)).toMatchObject({
      rawTarget: "/123456789",
    });
    expect(parseText("GET /1234567890 HTTP/1.1\r\nHost: h\r\n\r\n", limits)).toMatchObject({
      refused: "uri_too_long",
    });
  });

  test("hold before the head is complete, so nothing beyond them is ever kept", () => {
    const limits = { headerBytes: 100, headerCount: 10, url: 100 };
    expect(parseText(`GET /${"a".repeat(200)}`, limits)).toMatchObject({ refused: "uri_too_long" });
    expect(parseText(`GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(100)}`, limits)).toMatchObject({
      refused: "headers_too_large",
    });
    expect(parseText(`GET / HTTP/1.1\r\n${"a".repeat(103)}`, limits)).toMatchObject({
      refused: "headers_too_large",
    });
    expect(parseText(`GET / HTTP/1.1\r\n${"A:\r\n".repeat(11)}`, limits)).toMatchObject({
      refused: "headers_too_large",
    });
  });

  test("a head that comes a byte at a time is looked at once, not again for each byte", () => {
    const parser = new RequestParser({ headerBytes: 1 << 20, headerCount: 100, url: 100 });
    const started = performance.now();
    parser.parse(bytesOf("GET / HTTP/1.1\r\nHost: h\r\nX: "), 0);
    for (let i = 0; i < 500_000; i++) parser.parse(Uint8Array.of(0x61), 0);
    expect(parser.parse(bytesOf("\r\n\r\n"), 0)?.headers.get("x")).toHaveLength(500_000);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

test("an idle connection keeps nothing of the last head but its host", () => {
  const size = () => {
    Bun.gc(true);
    const { heapSize, extraMemorySize } = heapStats();
    return heapSize + extraMemorySize;
  };
  const before = size();
  const parsers = Array.from({ length: 400 }, (_, i) => {
    const parser = new RequestParser({ ...LIMITS, headerBytes: 65_536 });
    parser.parse(bytesOf(`GET /${i} HTTP/1.1\r\nHost: a${i}\r\nX: ${"x".repeat(60_000)}\r\n\r\n`), 0);
    return parser;
  });
  expect((size() - before) / parsers.length).toBeLessThan(6_000);
});

describe("every cut of a message", () => {
  const messages = [
    PLAIN,
    `\r\n${PLAIN}tail`,
    "POST /x HTTP/1.1\r\nHost: a.b:1\r\nContent-Length: 3\r\nConnection: close\r\nExpect: 100-continue\r\n\r\nabc",
    "PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\nHost: h\n\n",
    "GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
  ];
  test.each(messages)("%j gives one result", (message) => {
    const whole = parseText(message);
    for (const pieces of cuts(bytesOf(message))) expect(outcome(() => parse(pieces))).toEqual(whole);
  });

  test("under tight limits, too", () => {
    for (let limit = 0; limit < 80; limit++) {
      const limits = { headerBytes: limit, headerCount: 3, url: limit };
      const whole = parseText(PLAIN, limits);
      for (const pieces of cuts(bytesOf(PLAIN))) expect(outcome(() => parse(pieces, limits))).toEqual(whole);
    }
  });

  test("of random bytes in the shape of heads", () => {
    const part = fc.constantFrom(
      ..."GET / HTTP/1.1|\r\n|\r|\n|Host: h|Host:|:|A: b| |\t|\0|Content-Length: 5|Transfer-Encoding: chunked|é|x_y: 1|\r\n\r\n".split(
        "|",
      ),
    );
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 14 }),
        fc.array(fc.nat(200), { maxLength: 6 }),
        (parts, places) => {
          const bytes = bytesOf(parts.join(""));
          expect(outcome(() => parse(cutAt(bytes, places)))).toEqual(outcome(() => parse([bytes])));
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("of random bytes", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.array(fc.nat(120), { maxLength: 4 }),
        (bytes, places) => {
          expect(outcome(() => parse(cutAt(bytes, places)))).toEqual(outcome(() => parse([bytes])));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

test("what the encoder writes, the parser reads", () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^`|~0-9A-Za-z-]{1,20}$/);
  const name = fc.stringMatching(/^x-[a-z0-9-]{1,20}$/);
  const value = fc.stringMatching(/^[!-~\xa1-\xff]([\t -~\xa1-\xff]{0,30}[!-~\xa1-\xff])?$/);
  const framing = fc.oneof(fc.nat(), fc.constant(CHUNKED), fc.constant(NO_BODY));
  fc.assert(
    fc.property(
      token.filter((method) => method !== "CONNECT"),
      fc.stringMatching(/^\/[!-"$-~]{0,40}$/),
      fc.array(fc.tuple(name, value), { maxLength: 10 }),
      framing,
      (method, target, fields, length) => {
        const headers = HeaderList.from(fields);
        const bytes = encodeRequest({
          method,
          target,
          authority: "h:1",
          headers,
          framing: length,
          connection: "",
        });
        expect(outcome(() => parse([copyOf(bytes)]))).toMatchObject({
          method,
          rawTarget: target,
          authority: "h:1",
          headers: headers.flat,
          framing: length,
          rest: "",
        });
      },
    ),
  );
});
