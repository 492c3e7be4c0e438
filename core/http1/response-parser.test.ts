import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeaderList } from "sluice/plugin";
import { copyOf, encodeResponse } from "./encoder.ts";
import { CHUNKED, NO_BODY, UNTIL_CLOSE } from "./framing.ts";
import { ResponseParser } from "./response-parser.ts";
import { receive } from "./test-answers.ts";
import { bytesOf, cutAt, cuts, outcome } from "./test-messages.ts";

const LIMITS = { headerBytes: 4096, headerCount: 50 };

function parse(pieces: readonly Uint8Array[], method = "GET") {
  const parser = new ResponseParser(LIMITS);
  for (const [i, piece] of pieces.entries()) {
    const head = parser.parse(piece, 0, method);
    if (head === undefined) continue;
    const rest = Buffer.concat([piece.subarray(parser.next), ...pieces.slice(i + 1)]);
    return { ...head, headers: [...head.headers.flat], rest: rest.toString("latin1") };
  }
  return undefined;
}

function parseText(text: string, method?: string) {
  return outcome(() => parse([bytesOf(text)], method));
}

describe("an answer's head", () => {
  test("is read with its fields in order; Content-Length and Connection stay, underscores too", () => {
    const text =
      "HTTP/1.1 404 Not \xe9 found\r\nContent-Length: 2\r\nConnection: X-Hop\r\nX_Odd: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nok";
    expect(parseText(text)).toEqual({
      status: 404,
      version: "1.1",
      headers: [
        ...["content-length", "2", "connection", "X-Hop", "x_odd", "1"],
        ...["set-cookie", "a", "set-cookie", "b"],
      ],
      framing: 2,
      keepAlive: true,
      rest: "ok",
    });
  });

  test.each([
    ["GET", "200 OK", "Content-Length: 5", 5, true],
    ["GET", "200 OK", "Transfer-Encoding: chunked", CHUNKED, true],
    ["GET", "200 OK", "", UNTIL_CLOSE, false],
    ["GET", "200 OK", "Connection: close\r\nContent-Length: 5", 5, false],
    ["HEAD", "200 OK", "Content-Length: 5", NO_BODY, true],
    ["HEAD", "200 OK", "Transfer-Encoding: chunked", NO_BODY, true],
    ["GET", "304 Not Modified", "Content-Length: 5", NO_BODY, true],
    ["GET", "204 No Content", "", NO_BODY, true],
    ["GET", "204 No Content", "Content-Length: 5", NO_BODY, false],
    ["GET", "103 Early Hints", "", NO_BODY, true],
    ["GET", "999 Odd", "Content-Length: 0", 0, true],
    ["GET", "200", "Content-Length: 0", 0, true],
    ["GET", "200 ", "Content-Length: 0", 0, true],
  ])(
    "%s, %s, %p: framing %p, connection lives on is %p (RFC 9112 §6.3)",
    (method, status, field, framing, keepAlive) => {
      const text = `HTTP/1.1 ${status}\r\n${field}${field && "\r\n"}\r\n`;
      expect(parseText(text, method)).toMatchObject({ framing, keepAlive });
    },
  );

  test("from HTTP/1.0 ends its connection unless it says otherwise", () => {
    expect(parseText("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")).toMatchObject({ keepAlive: false });
    expect(parseText("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")).toMatchObject(
      {
        version: "1.0",
        keepAlive: true,
      },
    );
  });

  test.each([
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "two lengths"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "one length twice"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", "a list of lengths"],
    ["HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "a signed length"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "both framings"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "another coding"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked twice"],
    ["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked from HTTP/1.0"],
    ["HTTP/1.1 20 OK\r\n\r\n", "a short status"],
    ["HTTP/1.1 099 OK\r\n\r\n", "a status below 100"],
    ["HTTP/1.1 2000 OK\r\n\r\n", "a long status"],
    ["HTTP/2 200 OK\r\n\r\n", "another version"],
    ["HTTP/1.1  200 OK\r\n\r\n", "two spaces"],
    ["ICY 200 OK\r\n\r\n", "another protocol"],
    ["\r\nHTTP/1.1 200 OK\r\n\r\n", "an empty line before it"],
    ["HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare LF"],
    ["HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "obs-fold"],
    ["HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "bare CR"],
    ["HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "a space before the colon"],
    ["HTTP/1.1 200 O\0K\r\n\r\n", "NUL in the reason"],
    [`HTTP/1.1 200 ${"x".repeat(2000)}`, "an endless reason"],
  ])("is refused: %j (%s)", (text) => {
    expect(parseText(text)).toHaveProperty("refused");
  });

  test("of one connection follow each other, 1xx among them", () => {
    const parser = new ResponseParser(LIMITS);
    const bytes = bytesOf("HTTP/1.1 103 E\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    expect(parser.parse(bytes, 0, "GET")?.status).toBe(103);
    expect(parser.parse(bytes, parser.next, "GET")?.status).toBe(200);
    expect(parser.next).toBe(bytes.byteLength);
  });
});

test("a 101 that was asked for is final, and raw bytes follow it, however they are cut (RFC 9110 §7.8)", () => {
  const bytes = bytesOf(
    "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\0",
  );
  for (const pieces of cuts(bytes)) {
    const { informed, head, body, complete } = receive(pieces, { offered: "h3, websocket" });
    expect(informed).toEqual([100]);
    expect(head).toMatchObject({ status: 101, framing: UNTIL_CLOSE, keepAlive: false });
    expect(head!.headers.flat).toEqual(["connection", "Upgrade", "upgrade", "WebSocket"]);
    expect([Buffer.from(body).toString(), complete]).toEqual(["HTTP/1.1 200 OK\r\n\r\n\0", true]);
  }
});

describe("every cut of an answer", () => {
  test.each([
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello",
    "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.0 302\r\nLocation: /x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
    "junk",
  ])("%j gives one result", (message) => {
    const whole = parseText(message);
    for (const pieces of cuts(bytesOf(message))) expect(outcome(() => parse(pieces))).toEqual(whole);
  });

  test("of random bytes in the shape of heads", () => {
    const part = fc.constantFrom(
      ..."HTTP/1.1 200 OK|HTTP/1.0 204|\r\n|\r|\n|A: b| |\t|\0|Content-Length: 5|Transfer-Encoding: chunked|\r\n\r\n".split(
        "|",
      ),
    );
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 12 }),
        fc.array(fc.nat(200), { maxLength: 6 }),
        (parts, places) => {
          const bytes = bytesOf(parts.join(""));
          expect(outcome(() => parse(cutAt(bytes, places)))).toEqual(outcome(() => parse([bytes])));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

test("what the encoder writes, the parser reads", () => {
  const name = fc.stringMatching(/^x-[a-z0-9-]{1,20}$/);
  const value = fc.stringMatching(/^[!-~\xa1-\xff]([\t -~\xa1-\xff]{0,30}[!-~\xa1-\xff])?$/);
  fc.assert(
    fc.property(
      fc.integer({ min: 205, max: 303 }),
      fc.array(fc.tuple(name, value), { maxLength: 10 }),
      fc.oneof(fc.nat(), fc.constantFrom(CHUNKED, UNTIL_CLOSE)),
      (status, fields, framing) => {
        const headers = HeaderList.from(fields);
        const bytes = encodeResponse({ status, headers, framing, connection: "", date: "now" });
        const length = framing >= 0 ? ["content-length", String(framing)] : [];
        expect(outcome(() => parse([copyOf(bytes)]))).toMatchObject({
          status,
          headers: [...headers.flat, "date", "now", ...length],
          framing,
          rest: "",
        });
      },
    ),
  );
});
