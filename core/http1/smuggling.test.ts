import { expect, test } from "bun:test";
import { HeaderList } from "sluice/plugin";
import { testServer } from "./test-server.ts";

/*
 * Requests that no two parsers read alike. Each is refused with its status, nothing behind it is taken for
 * another request, and the connection ends.
 */
const H = "Host: a\r\n";
const HOSTILE: readonly (readonly [what: string, where: string, status: number, head: string])[] = [
  [
    "Content-Length and Transfer-Encoding",
    "RFC 9112 §6.1",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    "Transfer-Encoding and Content-Length",
    "RFC 9112 §6.1",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n`,
  ],
  [
    "two equal Content-Lengths",
    "RFC 9112 §6.3",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  ],
  [
    "two different Content-Lengths",
    "RFC 9112 §6.3",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
  ],
  [
    "a list of Content-Lengths",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 3, 3\r\n\r\nabc`,
  ],
  [
    "Content-Length with a plus",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: +3\r\n\r\nabc`,
  ],
  [
    "Content-Length with a minus",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: -3\r\n\r\nabc`,
  ],
  [
    "Content-Length with a space inside",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 1 0\r\n\r\nabc`,
  ],
  [
    "Content-Length in hexadecimal",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 0x3\r\n\r\nabc`,
  ],
  [
    "Content-Length with a fraction",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 3.0\r\n\r\nabc`,
  ],
  [
    "Content-Length beyond 2^53",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 9007199254740993\r\n\r\n`,
  ],
  [
    "Content-Length of 30 digits",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: ${"1".repeat(30)}\r\n\r\n`,
  ],
  ["an empty Content-Length", "RFC 9110 §8.6", 400, `POST / HTTP/1.1\r\n${H}Content-Length:\r\n\r\n`],
  [
    "Content-Length with a quote",
    "RFC 9110 §8.6",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: "3"\r\n\r\nabc`,
  ],
  [
    "a space before Content-Length's colon",
    "RFC 9112 §5.1",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length : 3\r\n\r\nabc`,
  ],
  [
    "a tab before Transfer-Encoding's colon",
    "RFC 9112 §5.1",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    "Transfer-Encoding: identity",
    "RFC 9112 §7",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: identity\r\n\r\n`,
  ],
  [
    "Transfer-Encoding: xchunked",
    "RFC 9112 §7",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n`,
  ],
  [
    "Transfer-Encoding: chunked, identity",
    "RFC 9112 §6.3",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, identity\r\n\r\n`,
  ],
  [
    "Transfer-Encoding: chunked, chunked",
    "RFC 9112 §7.1",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, chunked\r\n\r\n`,
  ],
  [
    "Transfer-Encoding twice",
    "RFC 9112 §6.1",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
  ],
  [
    "Transfer-Encoding with a parameter",
    "RFC 9112 §7",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked;x=y\r\n\r\n`,
  ],
  [
    "Transfer-Encoding with a quote",
    "RFC 9112 §7",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: "chunked"\r\n\r\n`,
  ],
  [
    "Transfer-Encoding with a vertical tab",
    "RFC 9110 §5.5",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: \x0bchunked\r\n\r\n`,
  ],
  [
    "Transfer-Encoding with a no-break space",
    "RFC 9112 §7",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: \xa0chunked\r\n\r\n`,
  ],
  ["an empty Transfer-Encoding", "RFC 9112 §7", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding:\r\n\r\n`],
  [
    "a folded Transfer-Encoding",
    "RFC 9112 §5.2",
    400,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding:\r\n chunked\r\n\r\n`,
  ],
  [
    "Transfer-Encoding: gzip, chunked",
    "RFC 9112 §6.1",
    501,
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  ],
  [
    "chunked in HTTP/1.0",
    "RFC 9112 §6.1",
    400,
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["a folded field", "RFC 9112 §5.2", 400, `GET / HTTP/1.1\r\n${H}X: a\r\n b\r\n\r\n`],
  ["white space before the first field", "RFC 9112 §2.2", 400, `GET / HTTP/1.1\r\n ${H}\r\n`],
  ["a field name with NUL", "RFC 9110 §5.1", 400, `GET / HTTP/1.1\r\n${H}X\0Y: a\r\n\r\n`],
  ["a field value with NUL", "RFC 9110 §5.5", 400, `GET / HTTP/1.1\r\n${H}X: a\0b\r\n\r\n`],
  ["a field value with a control byte", "RFC 9110 §5.5", 400, `GET / HTTP/1.1\r\n${H}X: a\x01b\r\n\r\n`],
  ["a field value with DEL", "RFC 9110 §5.5", 400, `GET / HTTP/1.1\r\n${H}X: a\x7fb\r\n\r\n`],
  [
    "a field value with a bare CR",
    "RFC 9112 §2.2",
    400,
    `GET / HTTP/1.1\r\n${H}X: a\rContent-Length: 9\r\n\r\n`,
  ],
  [
    "a field line that ends in a bare LF",
    "RFC 9112 §2.2",
    400,
    `GET / HTTP/1.1\r\n${H}X: a\nContent-Length: 9\r\n\r\n`,
  ],
  ["a request line that ends in a bare LF", "RFC 9112 §2.2", 400, `GET / HTTP/1.1\n${H}\r\n`],
  ["a head that ends in bare LFs", "RFC 9112 §2.2", 400, `GET / HTTP/1.1\r\nHost: a\n\n`],
  ["CR CR LF", "RFC 9112 §2.2", 400, `GET / HTTP/1.1\r\n${H}X: a\r\r\n\r\n`],
  ["a field without a colon", "RFC 9112 §5", 400, `GET / HTTP/1.1\r\n${H}Broken\r\n\r\n`],
  ["a field without a name", "RFC 9112 §5", 400, `GET / HTTP/1.1\r\n${H}: a\r\n\r\n`],
  ["a field name with a space", "RFC 9110 §5.1", 400, `GET / HTTP/1.1\r\n${H}X Y: a\r\n\r\n`],
  ["a field name in brackets", "RFC 9110 §5.6.2", 400, `GET / HTTP/1.1\r\n${H}(X): a\r\n\r\n`],
  ["a field name beyond ASCII", "RFC 9110 §5.6.2", 400, `GET / HTTP/1.1\r\n${H}X\xff: a\r\n\r\n`],
  ["no Host", "RFC 9112 §3.2", 400, "GET / HTTP/1.1\r\n\r\n"],
  ["two Hosts", "RFC 9112 §3.2", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
  ["the same Host twice", "RFC 9112 §3.2", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"],
  ["an empty Host", "RFC 9110 §4.2.1", 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
  ["a list of Hosts", "RFC 9112 §3.2", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"],
  ["a Host with userinfo", "RFC 9110 §4.2.4", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"],
  ["a Host with a path", "RFC 9110 §7.2", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
  ["a Host with an illegal port", "RFC 9110 §7.2", 400, "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"],
  ["a Host with a word for a port", "RFC 9110 §7.2", 400, "GET / HTTP/1.1\r\nHost: a:http\r\n\r\n"],
  ["a Host with an open bracket", "RFC 3986 §3.2.2", 400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"],
  ["absolute-form against Host", "RFC 9112 §3.2.2", 400, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"],
  [
    "absolute-form with another port than Host",
    "RFC 9112 §3.2.2",
    400,
    "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
  ],
  ["absolute-form with userinfo", "RFC 9110 §4.2.4", 400, "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n"],
  ["absolute-form without Host", "RFC 9112 §3.2", 400, "GET http://a/ HTTP/1.1\r\n\r\n"],
  ["absolute-form of another scheme", "RFC 9112 §3.2.2", 400, `GET file:///etc/passwd HTTP/1.1\r\n${H}\r\n`],
  ["a target that is no path", "RFC 9112 §3.2", 400, `GET a HTTP/1.1\r\n${H}\r\n`],
  ["* with GET", "RFC 9112 §3.2.4", 400, `GET * HTTP/1.1\r\n${H}\r\n`],
  ["a target with a space", "RFC 9112 §3.2", 400, `GET /a b HTTP/1.1\r\n${H}\r\n`],
  ["a target with a tab", "RFC 9112 §3", 400, `GET /a\tb HTTP/1.1\r\n${H}\r\n`],
  ["a target with NUL", "RFC 3986 §2", 400, `GET /a\0b HTTP/1.1\r\n${H}\r\n`],
  ["a target beyond ASCII", "RFC 3986 §2", 400, `GET /\xe9 HTTP/1.1\r\n${H}\r\n`],
  ["a target with a fragment", "RFC 9112 §3.2.1", 400, `GET /a#b HTTP/1.1\r\n${H}\r\n`],
  ["a target with a bare CR", "RFC 9112 §2.2", 400, `GET /a\rb HTTP/1.1\r\n${H}\r\n`],
  ["no target", "RFC 9112 §3", 400, `GET HTTP/1.1\r\n${H}\r\n`],
  ["two spaces before the target", "RFC 9112 §3", 400, `GET  / HTTP/1.1\r\n${H}\r\n`],
  ["two spaces before the version", "RFC 9112 §3", 400, `GET /  HTTP/1.1\r\n${H}\r\n`],
  ["a space behind the version", "RFC 9112 §3", 400, `GET / HTTP/1.1 \r\n${H}\r\n`],
  ["a space before the method", "RFC 9112 §3", 400, ` GET / HTTP/1.1\r\n${H}\r\n`],
  ["an illegal method", "RFC 9110 §9.1", 400, `G@T / HTTP/1.1\r\n${H}\r\n`],
  ["HTTP/0.9", "RFC 9112 §3", 400, "GET /\r\n"],
  ["a version in lower case", "RFC 9112 §2.3", 400, `GET / http/1.1\r\n${H}\r\n`],
  ["a version with two digits", "RFC 9112 §2.3", 400, `GET / HTTP/1.10\r\n${H}\r\n`],
  ["HTTP/1.2", "RFC 9110 §15.6.6", 505, `GET / HTTP/1.2\r\n${H}\r\n`],
  ["HTTP/2.0", "RFC 9110 §15.6.6", 505, `GET / HTTP/2.0\r\n${H}\r\n`],
  ["HTTP/3.0", "RFC 9110 §15.6.6", 505, `GET / HTTP/3.0\r\n${H}\r\n`],
  ["the HTTP/2 preface", "RFC 9113 §3.4", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["CONNECT", "RFC 9110 §9.3.6", 501, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"],
  ["a TLS handshake", "RFC 8446 §4.1.2", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
  ["Expect: 200-ok", "RFC 9110 §10.1.1", 417, `POST / HTTP/1.1\r\n${H}Expect: 200-ok\r\n\r\n`],
  ["three empty lines before the request", "RFC 9112 §2.2", 400, `\r\n\r\n\r\nGET / HTTP/1.1\r\n${H}\r\n`],
  ["a target of 9,000 bytes", "RFC 9110 §15.5.15", 414, `GET /${"a".repeat(9000)} HTTP/1.1\r\n${H}\r\n`],
  ["a target without end", "RFC 9110 §15.5.15", 414, `GET /${"a".repeat(20_000)}`],
  [
    "a header block of 70,000 bytes",
    "RFC 6585 §5",
    431,
    `GET / HTTP/1.1\r\n${H}X: ${"a".repeat(70_000)}\r\n\r\n`,
  ],
  ["a field without end", "RFC 6585 §5", 431, `GET / HTTP/1.1\r\n${H}X: ${"a".repeat(70_000)}`],
  ["a field name without end", "RFC 6585 §5", 431, `GET / HTTP/1.1\r\n${H}${"a".repeat(70_000)}`],
  ["101 fields", "RFC 6585 §5", 431, `GET / HTTP/1.1\r\n${H}${"X: a\r\n".repeat(100)}\r\n`],
  [
    "a body over the limit",
    "RFC 9110 §15.5.14",
    413,
    `POST / HTTP/1.1\r\n${H}Content-Length: 2000000\r\n\r\n`,
  ],
];

test.each(HOSTILE)("%s (%s): %d and a close", async (_, _section, status, head) => {
  let handled = 0;
  using server = testServer((inbound) => {
    handled++;
    return inbound.respond(200, new HeaderList(), null);
  });
  const client = await server.connect(`${head}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
  const received = await client.ended();
  expect(received).toStartWith(`HTTP/1.1 ${status} `);
  expect(received).toContain("connection: close\r\n");
  expect(received.split("HTTP/1.1 ")).toHaveLength(2);
  expect(client.end).toBe("fin");
  expect(handled).toBe(0);
  expect(server.rejections).toHaveLength(1);
});
