import { afterAll, expect, test } from "bun:test";
import { ERROR_CODES, HeaderList, SluiceError } from "sluice/plugin";
import type { Inbound } from "../listener/inbound.ts";
import { CaseTable } from "../testing/case-table.ts";
import { eventually, statusOf, testServer } from "./test-server.ts";

/*
 * Requests that no two parsers read alike, and those that are only rude. Each is refused with its status and its
 * reason, nothing behind it is taken for another request, and the connection ends.
 */

type Case = readonly [section: string, what: string, head: string];

const H = "Host: a\r\n";
const get = (fields: string) => `GET / HTTP/1.1\r\n${H}${fields}\r\n\r\n`;
const post = (fields: string, body = "abc") => `POST / HTTP/1.1\r\n${H}${fields}\r\n\r\n${body}`;
const chunked = (coding: string) => post(`Transfer-Encoding: ${coding}`, "0\r\n\r\n");
const length = (value: string) => post(`Content-Length: ${value}`);
const line = (start: string) => `${start}\r\n${H}\r\n`;
const host = (value: string) => `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`;

/** By what the refusal says. */
const HOSTILE: Readonly<Record<string, readonly Case[]>> = {
  "400 malformed.framing.both": [
    [
      "RFC 9112 §6.1",
      "Content-Length, then Transfer-Encoding",
      post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ],
    [
      "RFC 9112 §6.1",
      "Transfer-Encoding, then Content-Length",
      post("Transfer-Encoding: chunked\r\nContent-Length: 6", "0\r\n\r\n"),
    ],
    [
      "RFC 9112 §6.1",
      "Content-Length: 0 and Transfer-Encoding",
      post("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ],
    [
      "RFC 9112 §6.1",
      "Content-Length and a foreign Transfer-Encoding",
      post("Content-Length: 3\r\nTransfer-Encoding: gzip, chunked"),
    ],
    [
      "RFC 9112 §6.1",
      "Content-Length and an empty Transfer-Encoding",
      post("Content-Length: 3\r\nTransfer-Encoding:"),
    ],
  ],
  "400 malformed.content_length.duplicate": [
    ["RFC 9110 §8.6", "two equal Content-Lengths", post("Content-Length: 3\r\nContent-Length: 3")],
    ["RFC 9112 §6.3", "two different Content-Lengths", post("Content-Length: 3\r\nContent-Length: 4")],
    ["RFC 9110 §8.6", "two Content-Lengths of 0", post("Content-Length: 0\r\nCONTENT-LENGTH: 0", "")],
  ],
  "400 malformed.content_length": [
    ["RFC 9110 §8.6", "a list of equal lengths", length("3, 3")],
    ["RFC 9112 §6.3", "a list of different lengths", length("3,4")],
    ["RFC 9110 §8.6", "a plus", length("+3")],
    ["RFC 9110 §8.6", "a minus", length("-3")],
    ["RFC 9110 §8.6", "minus nought", length("-0")],
    ["RFC 9110 §8.6", "a space inside", length("1 0")],
    ["RFC 9110 §8.6", "hexadecimal", length("0x3")],
    ["RFC 9110 §8.6", "an exponent", length("3e0")],
    ["RFC 9110 §8.6", "an underscore", length("1_0")],
    ["RFC 9110 §8.6", "a fraction", length("3.0")],
    ["RFC 9110 §8.6", "beyond 2^53", length("9007199254740993")],
    ["RFC 9110 §8.6", "2^64", length("18446744073709551616")],
    ["RFC 9110 §8.6", "30 digits", length("1".repeat(30))],
    ["RFC 9110 §8.6", "17 noughts before it", length(`${"0".repeat(17)}3`)],
    ["RFC 9110 §8.6", "nothing", length("")],
    ["RFC 9110 §8.6", "a quote", length('"3"')],
    ["RFC 9110 §8.6", "a no-break space", length("\xa03")],
    ["RFC 9110 §8.6", "digits beyond ASCII", length("\xb3")],
    ["RFC 9110 §8.6", "a comment", length("3 (three)")],
    ["RFC 9110 §8.6", "a parameter", length("3;a=b")],
  ],
  "400 malformed.space_before_colon": [
    ["RFC 9112 §5.1", "a space before Content-Length's colon", post("Content-Length : 3")],
    ["RFC 9112 §5.1", "a tab before Transfer-Encoding's colon", post("Transfer-Encoding\t: chunked")],
    ["RFC 9112 §5.1", "a space before Host's colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["RFC 9110 §5.1", "a field name with a space", get("X Y: a")],
  ],
  "400 malformed.transfer_encoding": [
    ["RFC 9112 §6.3", "identity", chunked("identity")],
    ["RFC 9112 §6.3", "xchunked", chunked("xchunked")],
    ["RFC 9112 §6.3", "chunkedx", chunked("chunkedx")],
    ["RFC 9112 §6.3", "chunk", chunked("chunk")],
    ["RFC 9112 §6.3", "chunked, identity", chunked("chunked, identity")],
    ["RFC 9112 §6.3", "chunked, gzip", chunked("chunked, gzip")],
    ["RFC 9112 §6.3", "gzip, which chunked does not end", chunked("gzip")],
    ["RFC 9112 §6.1", "chunked, chunked", chunked("chunked, chunked")],
    ["RFC 9110 §5.6.1.2", "chunked and a comma", chunked("chunked,")],
    ["RFC 9110 §5.6.1.2", "a comma and chunked", chunked(",chunked")],
    ["RFC 9112 §7.1", "a parameter", chunked("chunked;x=y")],
    ["RFC 9110 §10.1.4", "quotes", chunked('"chunked"')],
    ["RFC 9110 §5.6.3", "a no-break space", chunked("\xa0chunked")],
    ["RFC 9110 §5.6.3", "a next-line character", chunked("chunked\x85")],
    ["RFC 9112 §6.3", "nothing", chunked("")],
    [
      "RFC 9112 §6.1",
      "chunked in HTTP/1.0",
      `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "RFC 9112 §6.1",
      "chunked in HTTP/1.0 that asks to be kept",
      `POST / HTTP/1.0\r\n${H}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
  ],
  "400 malformed.transfer_encoding.duplicate": [
    ["RFC 9112 §6.1", "chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")],
    [
      "RFC 9112 §6.3",
      "chunked and identity",
      post("Transfer-Encoding: chunked\r\nTransfer-encoding: identity"),
    ],
    [
      "RFC 9110 §5.6.1.2",
      "an empty one and chunked",
      post("Transfer-Encoding:\r\nTransfer-Encoding: chunked"),
    ],
  ],
  "501 transfer_encoding": [
    ["RFC 9112 §6.1", "gzip, chunked", chunked("gzip, chunked")],
    ["RFC 9112 §6.1", "x-compress , deflate,chunked", chunked("x-compress , deflate,chunked")],
  ],
  "400 malformed.obs_fold": [
    ["RFC 9112 §5.2", "a folded field", get("X: a\r\n b")],
    ["RFC 9112 §5.2", "a field folded with a tab", get("X: a\r\n\tb")],
    ["RFC 9112 §5.2", "a folded Transfer-Encoding", chunked("\r\n chunked")],
    ["RFC 9112 §5.2", "a folded Content-Length", length("\r\n 3")],
    ["RFC 9112 §2.2", "white space before the first field", `GET / HTTP/1.1\r\n ${H}\r\n`],
    ["RFC 9112 §5.2", "a line of white space for an empty one", `GET / HTTP/1.1\r\n${H} \r\n\r\n`],
  ],
  "400 malformed.field_name": [
    ["RFC 9110 §5.1", "a field name with NUL", get("X\0Y: a")],
    ["RFC 9110 §5.1", "Content-Length with NUL behind it", post("Content-Length\0: 3")],
    [
      "RFC 9110 §5.1",
      "Transfer-Encoding with a vertical tab behind it",
      post("Transfer-Encoding\x0b: chunked"),
    ],
    ["RFC 9110 §5.6.2", "a vertical tab before a field name", get("\x0bX: a")],
    ["RFC 9110 §5.6.2", "brackets", get("(X): a")],
    ["RFC 9110 §5.6.2", "beyond ASCII", get("X\xff: a")],
    ["RFC 9110 §5.6.2", "DEL", get("X\x7f: a")],
    ["RFC 9110 §5.6.2", "quotes", get('"Host": b')],
    ["RFC 9112 §5", "an empty field name", get(": a")],
  ],
  "400 malformed.field_line": [
    ["RFC 9112 §5", "a field without a colon", get("Broken")],
    ["RFC 9112 §5", "Host without a colon", "GET / HTTP/1.1\r\nHost\r\n\r\n"],
    ["RFC 9112 §2.2", "a bare LF before the colon", get("X\nY: a")],
  ],
  "400 malformed.field_value": [
    ["RFC 9110 §5.5", "NUL", get("X: a\0b")],
    ["RFC 9110 §5.5", "a control byte", get("X: a\x01b")],
    ["RFC 9110 §5.5", "DEL", get("X: a\x7fb")],
    ["RFC 9110 §5.5", "a vertical tab before chunked", chunked("\x0bchunked")],
    ["RFC 9110 §5.5", "a form feed behind chunked", chunked("chunked\x0c")],
    ["RFC 9110 §5.5", "NUL behind a length", length("3\0")],
  ],
  "400 malformed.line_terminator": [
    ["RFC 9112 §2.2", "a field value with a bare CR", get("X: a\rContent-Length: 9")],
    ["RFC 9112 §2.2", "a field line that ends in a bare LF", get("X: a\nContent-Length: 9")],
    ["RFC 9112 §2.2", "a request line that ends in a bare LF", `GET / HTTP/1.1\n${H}\r\n`],
    ["RFC 9112 §2.2", "a request line that ends in a bare CR", `GET / HTTP/1.1\r${H}\r\n`],
    ["RFC 9112 §2.2", "a head that ends in bare LFs", "GET / HTTP/1.1\r\nHost: a\n\n"],
    ["RFC 9112 §2.2", "CR CR LF behind a field", get("X: a\r")],
    ["RFC 9112 §2.2", "CR CR LF behind the head", `GET / HTTP/1.1\r\n${H}\r\r\n`],
    ["RFC 9112 §2.2", "a bare LF before the request", `\n${line("GET / HTTP/1.1")}`],
    ["RFC 9112 §2.2", "a bare CR before the request", `\r${line("GET / HTTP/1.1")}`],
    ["RFC 9112 §2.2", "a bare CR in the target", line("GET /a\rb HTTP/1.1")],
    ["RFC 9112 §2.2", "a bare LF behind chunked", chunked("chunked\nX: y")],
  ],
  "400 malformed.host.missing": [
    ["RFC 9112 §3.2", "no Host", "GET / HTTP/1.1\r\n\r\n"],
    ["RFC 9112 §3.2", "absolute-form without Host", "GET http://a/ HTTP/1.1\r\n\r\n"],
    ["RFC 9112 §3.2", "a Host with an underscore in its name", "GET / HTTP/1.1\r\nX_Host: a\r\n\r\n"],
  ],
  "400 malformed.host.duplicate": [
    ["RFC 9112 §3.2", "two Hosts", get("Host: b")],
    ["RFC 9112 §3.2", "the same Host twice", get("Host: a")],
    ["RFC 9112 §3.2", "an empty Host beside another", get("HOST:")],
    ["RFC 9112 §3.2", "two Hosts in HTTP/1.0", `GET / HTTP/1.0\r\n${H}${H}\r\n`],
  ],
  "400 malformed.host": [
    ["RFC 9110 §4.2.1", "an empty Host", host("")],
    ["RFC 9110 §4.2.1", "a Host of only a port", host(":80")],
    ["RFC 9110 §7.2", "a list of Hosts", host("a, b")],
    ["RFC 9112 §3.2", "a Host with userinfo", host("u@a")],
    ["RFC 9110 §7.2", "a Host with a path", host("a/b")],
    ["RFC 9110 §7.2", "a Host with a query", host("a?b")],
    ["RFC 9110 §7.2", "a Host with a fragment", host("a#b")],
    ["RFC 9110 §7.2", "a Host with a backslash", host("a\\b")],
    ["RFC 9110 §7.2", "a Host with a space", host("a b")],
    ["RFC 9110 §7.2", "a Host with a tab", host("a\tb")],
    ["RFC 9110 §7.2", "a Host beyond ASCII", host("\xe4")],
    ["RFC 9110 §7.2", "a Host that is a URL", host("http://a")],
    ["RFC 9293 §3.1", "an illegal port", host("a:65536")],
    ["RFC 3986 §3.2.3", "a signed port", host("a:+80")],
    ["RFC 3986 §3.2.3", "a word for a port", host("a:http")],
    ["RFC 3986 §3.2.2", "two ports", host("a:80:80")],
    ["RFC 3986 §2.1", "a broken escape", host("a%zz")],
    ["RFC 3986 §3.2.2", "an open bracket", host("[::1")],
    ["RFC 3986 §3.2.2", "something behind the bracket", host("[::1]a")],
    ["RFC 3986 §3.2.2", "an IPv6 address without brackets", host("::1")],
    ["RFC 9110 §4.2.1", "absolute-form without a host, in HTTP/1.0", "GET http:///a HTTP/1.0\r\n\r\n"],
  ],
  "400 malformed.host.mismatch": [
    ["RFC 9112 §3.2.2", "absolute-form against Host", line("GET http://b/ HTTP/1.1")],
    ["RFC 9112 §3.2.2", "absolute-form with another port than Host", line("GET http://a:81/ HTTP/1.1")],
    ["RFC 9112 §3.2.2", "https with the port of http", line("GET https://a:80/ HTTP/1.1")],
    ["RFC 9110 §4.2.4", "absolute-form with userinfo", line("GET http://u@a/ HTTP/1.1")],
    ["RFC 3986 §3.2", "absolute-form with a backslash", line("GET http://a\\@b/ HTTP/1.1")],
    ["RFC 9110 §4.2.1", "absolute-form without a host", line("GET http:///a HTTP/1.1")],
  ],
  "400 malformed.target": [
    ["RFC 9112 §3.2.2", "absolute-form of another scheme", line("GET file:///etc/passwd HTTP/1.1")],
    ["RFC 9110 §4.2.1", "a scheme with one slash", line("GET http:/a HTTP/1.1")],
    ["RFC 9112 §3.2.3", "authority-form with GET", line("GET a:80 HTTP/1.1")],
    ["RFC 9112 §3.2", "a target that is no path", line("GET a HTTP/1.1")],
    ["RFC 9112 §3.2.1", "a target that is only a query", line("GET ?a HTTP/1.1")],
    ["RFC 9112 §3.2.4", "* with GET", line("GET * HTTP/1.1")],
    ["RFC 9112 §3.2.4", "* and more with OPTIONS", line("OPTIONS *a HTTP/1.1")],
    ["RFC 9112 §3.2", "a tab in the target", line("GET /a\tb HTTP/1.1")],
    ["RFC 9112 §3", "a tab behind the target", line("GET /\tHTTP/1.1")],
    ["RFC 3986 §2", "a target beyond ASCII", line("GET /\xe9 HTTP/1.1")],
    ["RFC 9112 §3.2.1", "a fragment", line("GET /a#b HTTP/1.1")],
  ],
  "400 malformed.start_line": [
    ["RFC 9112 §3.2", "a target with a space", line("GET /a b HTTP/1.1")],
    ["RFC 3986 §2", "a control byte in the target", line("GET /a\0b HTTP/1.1")],
    ["RFC 3986 §2", "DEL in the target", line("GET /a\x7f HTTP/1.1")],
    ["RFC 9112 §3", "no target", line("GET HTTP/1.1")],
    ["RFC 9112 §3", "nothing but a word", line("GET")],
    ["RFC 9112 §3", "two spaces before the target", line("GET  / HTTP/1.1")],
    ["RFC 9112 §3", "two spaces before the version", line("GET /  HTTP/1.1")],
    ["RFC 9112 §3", "a space behind the version", line("GET / HTTP/1.1 ")],
    ["RFC 9112 §3", "a tab behind the version", line("GET / HTTP/1.1\t")],
    ["RFC 9112 §3", "a space before the method", line(" GET / HTTP/1.1")],
    ["RFC 9112 §3", "no method", line(" / HTTP/1.1")],
    ["RFC 9112 §3", "HTTP/0.9", line("GET /")],
    ["RFC 9112 §2.3", "a version in lower case", line("GET / http/1.1")],
    ["RFC 9112 §2.3", "a minor version of two digits", line("GET / HTTP/1.10")],
    ["RFC 9112 §2.3", "a major version of two digits", line("GET / HTTP/01.1")],
    ["RFC 9112 §2.3", "a version without its minor", line("GET / HTTP/1.")],
    ["RFC 9112 §2.3", "a comma for the dot", line("GET / HTTP/1,1")],
    ["RFC 9112 §2.3", "another protocol", line("GET / ICAP/1.0")],
    ["RFC 9112 §2.2", "three empty lines before it", `\r\n\r\n\r\n${line("GET / HTTP/1.1")}`],
    ["RFC 8446 §4.1.2", "a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
  ],
  "400 malformed.method": [
    ["RFC 9110 §9.1", "an illegal byte", line("G@T / HTTP/1.1")],
    ["RFC 9110 §9.1", "a tab behind the method", line("GET\t/ / HTTP/1.1")],
    ["RFC 9110 §9.1", "beyond ASCII", line("G\xc9T / HTTP/1.1")],
    ["RFC 9110 §9.1", "a bracket", line("[GET / HTTP/1.1")],
  ],
  "505 http_version": [
    ["RFC 9110 §2.5", "HTTP/1.2", line("GET / HTTP/1.2")],
    ["RFC 9110 §15.6.6", "HTTP/0.9 said aloud", line("GET / HTTP/0.9")],
    ["RFC 9110 §15.6.6", "HTTP/2.0", line("GET / HTTP/2.0")],
    ["RFC 9110 §15.6.6", "HTTP/3.0", line("GET / HTTP/3.0")],
    ["RFC 9113 §3.4", "the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ],
  "501 method.connect": [
    ["RFC 9110 §9.3.6", "CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"],
    ["RFC 9112 §3.2.3", "CONNECT with a path", line("CONNECT / HTTP/1.1")],
  ],
  "417 expect": [
    ["RFC 9110 §10.1.1", "200-ok", post("Expect: 200-ok", "")],
    ["RFC 9110 §10.1.1", "100-continue and another", post("Expect: 100-continue, x\r\nContent-Length: 3")],
    ["RFC 9110 §10.1.1", "100-continue twice", post("Expect: 100-continue\r\nExpect: 100-continue", "")],
    ["RFC 9110 §10.1.1", "nothing", post("Expect:", "")],
  ],
  "414 limits.url": [
    ["RFC 9110 §15.5.15", "a target of 9,000 bytes", line(`GET /${"a".repeat(9000)} HTTP/1.1`)],
    ["RFC 9110 §15.5.15", "one byte too many", line(`GET /${"a".repeat(8192)} HTTP/1.1`)],
    ["RFC 9110 §15.5.15", "a target without end", `GET /${"a".repeat(20_000)}`],
    ["RFC 9112 §3", "a method without end", "G".repeat(20_000)],
  ],
  "431 limits.header_bytes": [
    ["RFC 6585 §5", "a field of 70,000 bytes", get(`X: ${"a".repeat(70_000)}`)],
    ["RFC 6585 §5", "a field without end", `GET / HTTP/1.1\r\n${H}X: ${"a".repeat(70_000)}`],
    ["RFC 6585 §5", "a field name without end", `GET / HTTP/1.1\r\n${H}${"a".repeat(70_000)}`],
    ["RFC 6585 §5", "white space without end", `GET / HTTP/1.1\r\n${H}X:${" ".repeat(70_000)}`],
    ["RFC 6585 §5", "90 fields of 800 bytes", get(`X: ${"a".repeat(800)}\r\n`.repeat(90).trim())],
  ],
  "431 limits.header_count": [
    ["RFC 6585 §5", "101 fields", get("X: a\r\n".repeat(100).trim())],
    ["RFC 6585 §5", "101 fields that are dropped", get("X_Y: a\r\n".repeat(100).trim())],
    ["RFC 6585 §5", "fields without end", `GET / HTTP/1.1\r\n${"a:\r\n".repeat(5000)}`],
  ],
  "413 limits.body": [
    ["RFC 9110 §15.5.14", "a body over the limit", length("2000000")],
    [
      "RFC 9110 §15.5.14",
      "one that would wait for leave",
      post("Content-Length: 2000000\r\nExpect: 100-continue"),
    ],
  ],
};

const rows = Object.entries(HOSTILE).flatMap(([refusal, cases]) =>
  cases.map(([section, what, head]) => [section, what, refusal, head] as const),
);

const table = new CaseTable("hostile clients", "group", "case", "section", "expected");
afterAll(() => void process.stdout.write(String(table)));

/** `400 malformed.host.missing` → `host`. */
const groupOf = (refusal: string): string =>
  /^\d+ (?:malformed\.)?(\w+)/.exec(refusal)![1]!.replaceAll("_", " ");

test.each(rows)("%s: %s: %s", async (section, what, refusal, head) => {
  const row = table.begin(groupOf(refusal), what, section, refusal);
  const [status, reason] = refusal.split(" ");
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
  const [rejection] = server.rejections;
  expect(rejection!.reason).toBe(reason!);
  expect(String(ERROR_CODES[rejection!.code].status)).toBe(status!);
  expect(received).toEndWith(rejection!.code);
  client.finish();
  await eventually(() => server.server.connections === 0);
  row.passed();
});

/** Bodies that turn out to be none after the request was taken. */
const BODIES: Readonly<Record<string, readonly Case[]>> = {
  "400 malformed.chunk_size": [
    ["RFC 9112 §7.1", "no size", "\r\nhello"],
    ["RFC 9112 §7.1", "a sign", "-5\r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1", "a plus", "+5\r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1", "a prefix", "0x5\r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1", "white space behind the size", "5 \r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1", "white space before the size", " 5\r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1", "a size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1", "2^64, which wraps to 0", "10000000000000000\r\n\r\n"],
    ["RFC 9112 §7.1", "2^64 - 1", "ffffffffffffffff\r\n"],
    ["RFC 9112 §7.1", "2^53 + 1", "20000000000001\r\n"],
    ["RFC 9112 §7.1", "LF alone behind the size", "5\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §2.2", "CR alone behind the size", "5\rhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1", "LF alone behind the last size", "0\n\n"],
    ["RFC 9112 §7.1.1", "LF alone behind an extension", "5;a\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1.1", "a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1.1", "NUL in an extension", "5;a=\0\r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1.1", "an extension with white space", "5; a\r\nhello\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1.1", "an extension without end", `5;${"a".repeat(8000)}`],
    ["RFC 9112 §7.1.1", "extensions in every chunk", "1;abcdefgh=i\r\nx\r\n".repeat(1000)],
  ],
  "400 malformed.chunk_data": [
    ["RFC 9112 §7.1", "no CRLF behind the data", "5\r\nhello0\r\n\r\n"],
    ["RFC 9112 §7.1", "more data than announced", "5\r\nhello!\r\n0\r\n\r\n"],
    ["RFC 9112 §7.1", "LF alone behind the data", "5\r\nhello\n0\r\n\r\n"],
    ["RFC 9112 §2.2", "CR alone behind the data", "5\r\nhello\r0\r\n\r\n"],
  ],
  "400 malformed.line_terminator": [
    ["RFC 9112 §2.2", "LF alone behind a trailer", "0\r\nA: b\n\r\n"],
    ["RFC 9112 §2.2", "CR alone at the end", "0\r\n\rGET"],
  ],
  "400 malformed.obs_fold": [["RFC 9112 §5.2", "a folded trailer", "0\r\nA: b\r\n c\r\n\r\n"]],
  "400 malformed.space_before_colon": [
    ["RFC 9112 §5.1", "a space before a trailer's colon", "0\r\nA : b\r\n\r\n"],
    ["RFC 9112 §7.1.2", "a request for trailers", "0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
  ],
  "400 malformed.field_value": [["RFC 9110 §5.5", "NUL in a trailer", "0\r\nA: \0\r\n\r\n"]],
  "431 limits.header_count": [["RFC 6585 §5", "a flood of trailers", `0\r\n${"A: b\r\n".repeat(65)}\r\n`]],
  "431 limits.header_bytes": [["RFC 6585 §5", "a trailer without end", `0\r\nA: ${"b".repeat(20_000)}`]],
  "413 limits.body": [
    ["RFC 9110 §15.5.14", "chunks over the limit", `100001\r\n${"x".repeat(0x100001)}\r\n0\r\n\r\n`],
    [
      "RFC 9110 §15.5.14",
      "many small chunks over the limit",
      "400\r\n".padEnd(1029, "x").concat("\r\n").repeat(1100),
    ],
  ],
};

const bodyRows = Object.entries(BODIES).flatMap(([refusal, cases]) =>
  cases.map(([section, what, body]) => [section, what, refusal, body] as const),
);

test.each(bodyRows)("%s: in a chunked body: %s: %s", async (section, what, refusal, body) => {
  const row = table.begin("chunked body", what, section, refusal);
  const [status, reason] = refusal.split(" ");
  const targets: string[] = [];
  let failure: unknown;
  using server = testServer(async (inbound) => {
    targets.push(inbound.rawTarget);
    failure = await readAll(inbound);
    await inbound.respond(statusOf(failure), new HeaderList(), null);
  });
  const client = await server.connect(
    `${post("Transfer-Encoding: chunked", body)}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
  );
  const received = await client.ended();
  expect(received).toStartWith(`HTTP/1.1 ${status} `);
  expect(received).toContain("connection: close\r\n");
  expect(received.split("HTTP/1.1 ")).toHaveLength(2);
  expect(client.end).toBe("fin");
  expect(targets).toEqual(["/"]);
  expect(failure).toBeInstanceOf(SluiceError);
  expect((failure as SluiceError).reason).toBe(reason!);
  expect(server.rejections).toEqual([]);
  client.finish();
  await eventually(() => server.server.connections === 0);
  row.passed();
});

/** What reading the whole body throws. */
async function readAll({ body }: Inbound): Promise<unknown> {
  try {
    while ((await body!.read()) !== null);
    return undefined;
  } catch (error) {
    return error;
  }
}

test("forbidden trailers are left out, the others pass (RFC 9110 §6.5.1)", async () => {
  let trailers: readonly string[] | undefined;
  using server = testServer(async (inbound) => {
    await readAll(inbound);
    trailers = inbound.body!.trailers?.flat;
    await inbound.respond(200, new HeaderList(), null);
  });
  const forbidden =
    "Content-Length: 9\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: x\r\nX_Y: z\r\n";
  const client = await server.connect(
    post("Transfer-Encoding: chunked", `0\r\n${forbidden}X-Sum: 1\r\nConnection: close\r\n\r\n`),
  );
  await client.until("\r\n\r\n");
  expect(trailers).toEqual(["x-sum", "1"]);
});

test("garbage behind a good request is refused behind its answer", async () => {
  using server = testServer((inbound) => inbound.respond(200, new HeaderList(), null));
  const client = await server.connect(`${get("X: a")}\x00\xff garbage\r\n\r\n`);
  const received = await client.ended();
  expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 400"]);
  expect(server.rejections.map(({ reason }) => reason)).toEqual(["malformed.start_line"]);
});

test("a body that is longer than it said is the next request, and refused as one", async () => {
  using server = testServer((inbound) => inbound.respond(200, new HeaderList(), null));
  const client = await server.connect(post("Content-Length: 3", "abcdef\r\n\r\n"));
  const received = await client.ended();
  expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 400"]);
});
