import type { ReceiveOptions } from "./test-answers.ts";

/* The answers of hostile-answers.test.ts, which core/e2e runs through the whole gateway as well. */

/** `bytes` is what the server sends, one character a byte. */
export type HostileAnswer = readonly [section: string, what: string, bytes: string, options?: ReceiveOptions];

export const OK = "HTTP/1.1 200 OK\r\n";
const ok = (fields: string, body = "hello") => `${OK}${fields}\r\n\r\n${body}`;
const length = (value: string) => ok(`Content-Length: ${value}`);
const coding = (value: string) => ok(`Transfer-Encoding: ${value}`, "0\r\n\r\n");
export const chunks = (body: string) => ok("Transfer-Encoding: chunked", body);
const start = (line: string) => `${line}\r\nContent-Length: 0\r\n\r\n`;
export const SECOND = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
const HEAD: ReceiveOptions = { method: "HEAD" };

/** By what becomes of them: see `verdict` of test-answers.ts. */
export const HOSTILE_ANSWERS: Readonly<Record<string, readonly HostileAnswer[]>> = {
  "refused: malformed.content_length.duplicate": [
    ["RFC 9112 §6.3", "two different lengths", ok("Content-Length: 5\r\nContent-Length: 6")],
    ["RFC 9110 §8.6", "one length twice", ok("Content-Length: 5\r\nContent-Length: 5")],
    ["RFC 9112 §6.3", "two lengths, to HEAD", ok("Content-Length: 5\r\nContent-Length: 0", ""), HEAD],
    [
      "RFC 9112 §6.3",
      "two lengths on 304",
      "HTTP/1.1 304 N\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
  ],
  "refused: malformed.content_length": [
    ["RFC 9110 §8.6", "a list of lengths", length("5, 5")],
    ["RFC 9110 §8.6", "a plus", length("+5")],
    ["RFC 9110 §8.6", "a minus", length("-5")],
    ["RFC 9110 §8.6", "hexadecimal", length("0x5")],
    ["RFC 9110 §8.6", "a space inside", length("5 0")],
    ["RFC 9110 §8.6", "beyond 2^53", length("9007199254740993")],
    ["RFC 9110 §8.6", "40 digits", length("1".repeat(40))],
    ["RFC 9110 §8.6", "nothing", length("")],
    ["RFC 9110 §8.6", "a word", length("five")],
    ["RFC 9110 §8.6", "a no-break space", length("\xa05")],
    ["RFC 9110 §8.6", "a fraction", length("5.0")],
  ],
  "refused: malformed.framing.both": [
    ["RFC 9112 §6.3", "a length and chunked", ok("Content-Length: 5\r\nTransfer-Encoding: chunked")],
    ["RFC 9112 §6.3", "chunked and a length", ok("Transfer-Encoding: chunked\r\nContent-Length: 5")],
    ["RFC 9112 §6.3", "both, to HEAD", ok("Transfer-Encoding: chunked\r\nContent-Length: 5", ""), HEAD],
  ],
  "refused: malformed.transfer_encoding": [
    ["RFC 9112 §6.3", "identity", coding("identity")],
    ["RFC 9112 §7.4", "gzip, chunked", coding("gzip, chunked")],
    ["RFC 9112 §6.3", "chunked, gzip", coding("chunked, gzip")],
    ["RFC 9112 §6.1", "chunked, chunked", coding("chunked, chunked")],
    ["RFC 9112 §6.3", "xchunked", coding("xchunked")],
    ["RFC 9112 §7.1", "a parameter", coding("chunked;a=b")],
    ["RFC 9112 §6.3", "nothing", coding("")],
    ["RFC 9112 §6.1", "chunked from HTTP/1.0", chunks("0\r\n\r\n").replace("1.1", "1.0")],
  ],
  "refused: malformed.transfer_encoding.duplicate": [
    ["RFC 9112 §6.1", "chunked twice", ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")],
    [
      "RFC 9112 §6.3",
      "chunked and identity",
      ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    ],
  ],
  "refused: malformed.status_line": [
    ["RFC 9112 §4", "a status of two digits", start("HTTP/1.1 20 OK")],
    ["RFC 9112 §4", "a status of four digits", start("HTTP/1.1 2000 OK")],
    ["RFC 9110 §15", "a status below 100", start("HTTP/1.1 099 OK")],
    ["RFC 9112 §4", "a signed status", start("HTTP/1.1 +20 OK")],
    ["RFC 9112 §4", "a word for a status", start("HTTP/1.1 abc OK")],
    ["RFC 9112 §4", "no status", start("HTTP/1.1")],
    ["RFC 9112 §4", "two spaces before the status", start("HTTP/1.1  200 OK")],
    ["RFC 9112 §4", "a tab before the status", start("HTTP/1.1\t200 OK")],
    ["RFC 9112 §4", "a tab behind the status", start("HTTP/1.1 200\tOK")],
    ["RFC 9110 §2.5", "HTTP/1.2", start("HTTP/1.2 200 OK")],
    ["RFC 9112 §2.3", "HTTP/2", start("HTTP/2 200 OK")],
    ["RFC 9112 §2.3", "HTTP/2.0", start("HTTP/2.0 200 OK")],
    ["RFC 9112 §2.3", "lower case", start("http/1.1 200 OK")],
    ["RFC 9112 §2.3", "HTTP/01.1", start("HTTP/01.1 200 OK")],
    ["RFC 9112 §4", "white space before it", start(" HTTP/1.1 200 OK")],
    ["RFC 9112 §4", "another protocol", start("ICY 200 OK")],
    ["RFC 9112 §4", "a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["RFC 9112 §2.3", "HTTP/0.9", "<html>hello</html>\r\n\r\n\r\n"],
    ["RFC 9110 §17.5", "an endless reason", `HTTP/1.1 200 ${"x".repeat(2000)}`],
  ],
  "refused: malformed.start_line": [
    ["RFC 9112 §4", "NUL in the reason", start("HTTP/1.1 200 O\0K")],
    ["RFC 9112 §4", "a control byte in the reason", start("HTTP/1.1 200 O\x1bK")],
    ["RFC 9113 §3.4", "HTTP/2 SETTINGS", "\0\0\0\x04\0\0\0\0\0"],
    ["RFC 8446 §6", "a TLS alert", "\x15\x03\x01\0\x02\x02\x0a"],
  ],
  "refused: malformed.line_terminator": [
    ["RFC 9112 §2.2", "LF alone behind the status line", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"],
    ["RFC 9112 §2.2", "LF alone behind a field", `${OK}Content-Length: 0\n\r\n`],
    ["RFC 9112 §2.2", "a bare CR in a field", ok("A: b\rContent-Length: 0")],
    ["RFC 9112 §2.2", "a bare CR in the reason", start("HTTP/1.1 200 O\rK")],
    ["RFC 9112 §2.2", "CR CR LF", ok("A: b\r")],
    ["RFC 9112 §2.2", "LF alone behind a trailer", chunks("0\r\nA: b\n\r\n")],
  ],
  "refused: malformed.obs_fold": [
    ["RFC 9112 §5.2", "a folded field", ok("A: b\r\n c")],
    ["RFC 9112 §5.2", "a folded length", ok("Content-Length:\r\n 5")],
    ["RFC 9112 §2.2", "white space before the first field", ok(" A: b")],
    ["RFC 9112 §5.2", "a folded trailer", chunks("0\r\nA: b\r\n\tc\r\n\r\n")],
  ],
  "refused: malformed.space_before_colon": [
    ["RFC 9112 §5.1", "a space before the colon", ok("Content-Length : 5")],
    ["RFC 9112 §5.1", "a tab before the colon", ok("Transfer-Encoding\t: chunked")],
  ],
  "refused: malformed.field_name": [
    ["RFC 9112 §5", "an empty field name", ok(": a")],
    ["RFC 9112 §2.1", "an empty line before it", `\r\n${length("5")}`],
    ["RFC 9112 §7.1.2", "a second answer for trailers", chunks(`0\r\n${SECOND}`)],
    ["RFC 9110 §5.1", "NUL in a field name", ok("A\0: b")],
    ["RFC 9110 §5.6.2", "beyond ASCII", ok("A\xe9: b")],
  ],
  "refused: malformed.field_line": [["RFC 9112 §5", "a field without a colon", ok("Broken")]],
  "refused: malformed.field_value": [
    ["RFC 9110 §5.5", "NUL", ok("A: b\0c")],
    ["RFC 9110 §5.5", "a vertical tab before chunked", coding("\x0bchunked")],
    ["RFC 9110 §5.5", "NUL in a trailer", chunks("0\r\nA: \0\r\n\r\n")],
  ],
  "refused: limits.header_count": [
    ["RFC 6585 §5", "65 fields", ok("A: b\r\n".repeat(65).trim())],
    ["RFC 6585 §5", "fields without end", `${OK}${"a:\r\n".repeat(3000)}`],
    [
      "RFC 6585 §5",
      "fields without end in an informational answer",
      `HTTP/1.1 103 E\r\n${"a:\r\n".repeat(3000)}`,
    ],
    ["RFC 6585 §5", "a flood of trailers", chunks(`0\r\n${"A: b\r\n".repeat(65)}\r\n`)],
  ],
  "refused: limits.header_bytes": [
    ["RFC 6585 §5", "a field of 20,000 bytes", ok(`A: ${"b".repeat(20_000)}`)],
    ["RFC 6585 §5", "a field name without end", `${OK}${"a".repeat(20_000)}`],
    ["RFC 6585 §5", "a trailer without end", chunks(`0\r\nA: ${"b".repeat(20_000)}`)],
  ],
  "refused: malformed.chunk_size": [
    ["RFC 9112 §7.1", "no size", chunks("\r\nhello")],
    ["RFC 9112 §7.1", "no hexadecimal digit", chunks("g\r\n")],
    ["RFC 9112 §7.1", "a sign", chunks("-5\r\nhello\r\n0\r\n\r\n")],
    ["RFC 9112 §7.1", "a prefix", chunks("0x5\r\nhello\r\n0\r\n\r\n")],
    ["RFC 9112 §7.1", "white space behind the size", chunks("5 \r\nhello\r\n0\r\n\r\n")],
    ["RFC 9112 §7.1", "2^64 - 1", chunks("ffffffffffffffff\r\n")],
    ["RFC 9112 §7.1", "2^64, which wraps to 0", chunks("10000000000000000\r\n\r\n")],
    ["RFC 9112 §7.1", "LF alone", chunks("5\nhello\n0\n\n")],
    ["RFC 9112 §7.1.1", "an extension without end", chunks(`5;${"a".repeat(5000)}`)],
    ["RFC 9112 §7.1.1", "a bare CR in an extension", chunks("5;a\rb\r\nhello\r\n0\r\n\r\n")],
    ["RFC 9112 §7.1", "a body that is not chunked", chunks("hello")],
  ],
  "refused: malformed.chunk_data": [
    ["RFC 9112 §7.1", "no CRLF behind the data", chunks("5\r\nhello0\r\n\r\n")],
    ["RFC 9112 §7.1", "more data than announced", chunks("5\r\nhello world\r\n0\r\n\r\n")],
    ["RFC 9112 §7.1", "LF alone behind the data", chunks("5\r\nhello\n0\r\n\r\n")],
  ],
  "refused: malformed.informational": [
    ["RFC 9110 §8.6", "100 with a length", `HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\nhello${SECOND}`],
    [
      "RFC 9112 §6.1",
      "103 with chunks",
      `HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SECOND}`,
    ],
    ["RFC 9110 §15.2", "a flood of 100", "HTTP/1.1 100 C\r\n\r\n".repeat(1000)],
    ["RFC 9110 §15.2", "a flood of 103", "HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n".repeat(1000)],
  ],
  "refused: malformed.upgrade": [
    ["RFC 9110 §7.8", "101 that nobody asked for", `HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n${SECOND}`],
    [
      "RFC 9110 §7.8",
      "101 to another protocol",
      "HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n",
      { offered: "websocket" },
    ],
    [
      "RFC 9110 §7.8",
      "101 to one protocol more",
      "HTTP/1.1 101 S\r\nUpgrade: websocket, x\r\n\r\n",
      { offered: "websocket" },
    ],
    ["RFC 9110 §15.2.2", "101 without Upgrade", "HTTP/1.1 101 S\r\n\r\n", { offered: "websocket" }],
    [
      "RFC 9110 §15.2",
      "101 from HTTP/1.0",
      "HTTP/1.0 101 S\r\nUpgrade: websocket\r\n\r\n",
      { offered: "websocket" },
    ],
  ],
  broken: [
    ["RFC 9112 §8", "nothing", ""],
    ["RFC 9112 §8", "half a status line", "HTTP/1.1 20"],
    ["RFC 9112 §8", "half a head", `${OK}Content-Length: 5\r\n`],
    ["RFC 9112 §8", "a head but for its last byte", `${OK}Content-Length: 5\r\n\r`],
    ["RFC 9110 §15.2", "an informational answer and nothing", "HTTP/1.1 103 E\r\n\r\n"],
    ["RFC 9112 §8", "no body", length("5").slice(0, -5)],
    ["RFC 9112 §8", "half a body", length("10")],
    ["RFC 9112 §8", "a chunked body without an end", chunks("5\r\nhello\r\n")],
    ["RFC 9112 §8", "half a chunk", chunks("5\r\nhel")],
    ["RFC 9112 §8", "half a chunk size", chunks("5")],
    ["RFC 9112 §8", "a last chunk without its empty line", chunks("5\r\nhello\r\n0\r\n")],
    ["RFC 9112 §8", "half a trailer", chunks("5\r\nhello\r\n0\r\nA: b\r\n")],
    ["RFC 9112 §7.1", "a chunk of 2^53 - 1 bytes", chunks("1fffffffffffff\r\nhello")],
    ["RFC 9110 §8.6", "a length of 2^53 - 1", length("9007199254740991")],
  ],
  "whole, close": [
    ["RFC 9112 §9.2", "a second answer behind a length", length("5") + SECOND],
    ["RFC 9112 §9.2", "a second answer behind chunks", chunks("0\r\n\r\n") + SECOND],
    ["RFC 9112 §9.2", "a second answer behind no body", length("0").slice(0, -5) + SECOND],
    ["RFC 9112 §6.3", "one byte more than announced", ok("Content-Length: 5", "hello!")],
    ["RFC 9112 §9.2", "CRLF behind the body", ok("Content-Length: 5", "hello\r\n")],
    ["RFC 9110 §9.3.2", "a body in answer to HEAD", length("5"), HEAD],
    ["RFC 9110 §9.3.2", "chunks in answer to HEAD", chunks("5\r\nhello\r\n0\r\n\r\n"), HEAD],
    ["RFC 9110 §15.3.5", "204 with a body", "HTTP/1.1 204 N\r\n\r\nhello"],
    ["RFC 9110 §8.6", "204 with a length", "HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\n"],
    ["RFC 9112 §6.1", "204 with chunks", "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["RFC 9110 §15.4.5", "304 with a body", "HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\nhello"],
    ["RFC 9112 §6.3", "no framing", `${OK}\r\nhello`],
    ["RFC 9112 §6.3", "no framing and two answers", `${OK}\r\n${SECOND}${SECOND}`],
    ["RFC 9112 §9.3", "HTTP/1.0 with a length", length("5").replace("1.1", "1.0")],
    ["RFC 9112 §9.6", "Connection: close", ok("Content-Length: 5\r\nConnection: x, Close")],
    [
      "RFC 9112 §9.6",
      "Connection: close, keep-alive",
      ok("Connection: close, keep-alive\r\nContent-Length: 5"),
    ],
    [
      "RFC 9110 §7.8",
      "101 that was asked for",
      "HTTP/1.1 101 S\r\nUpgrade: WebSocket\r\n\r\nraw",
      { offered: "websocket" },
    ],
  ],
};

/** `refused: malformed.status_line` → `status line`. */
export function groupOf(expected: string): string {
  if (expected === "whole, close") return "connection given up";
  return expected.replace(/^refused: (?:malformed\.)?(\w+).*/, "$1").replaceAll("_", " ");
}
