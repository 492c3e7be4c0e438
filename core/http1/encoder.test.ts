import { expect, test } from "bun:test";
import { HeaderList } from "sluice/plugin";
import {
  copyOf,
  encodeChunk,
  type Encoded,
  encodeLastChunk,
  encodeRequest,
  encodeResponse,
  gather,
} from "./encoder.ts";
import { CHUNKED, NO_BODY, UNTIL_CLOSE } from "./framing.ts";
import { bytesOf } from "./test-messages.ts";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const written = (encoded: Encoded) => text(copyOf(encoded));

test("a request: host first, framing of its own, the body behind it", () => {
  const headers = new HeaderList([
    ...["accept", "*/*", "host", "other", "content-length", "99", "transfer-encoding", "chunked"],
    ...["connection", "x", "x-latin", "caf\xe9"],
  ]);
  const parts = {
    method: "POST",
    target: "/a?b",
    authority: "h:1",
    headers,
    framing: 2,
    connection: "close",
  };
  expect(written(encodeRequest(parts, bytesOf("ok")))).toBe(
    "POST /a?b HTTP/1.1\r\nhost: h:1\r\naccept: */*\r\nx-latin: caf\xe9\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
  );
  expect(
    written(encodeRequest({ ...parts, headers: new HeaderList(), framing: NO_BODY, connection: "" })),
  ).toBe("POST /a?b HTTP/1.1\r\nhost: h:1\r\n\r\n");
});

test.each([
  ["target", "/a b"],
  ["target", "/a\r\nX: y"],
  ["target", "/\xe9"],
  ["method", "GET /"],
  ["authority", "h\r\nX: y"],
])("a request whose %s is %j is never written", (part, value) => {
  const parts = {
    method: "GET",
    target: "/",
    authority: "h",
    headers: new HeaderList(),
    framing: 0,
    connection: "",
  };
  expect(() => encodeRequest({ ...parts, [part]: value })).toThrow(TypeError);
});

test("an answer: a date where it has none, framing of its own", () => {
  const parts = {
    status: 200,
    headers: new HeaderList(["x", "y"]),
    framing: CHUNKED,
    connection: "",
    date: "now",
  };
  expect(written(encodeResponse(parts))).toBe(
    "HTTP/1.1 200 OK\r\nx: y\r\ndate: now\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  const dated = new HeaderList(["date", "then", "content-length", "7"]);
  expect(written(encodeResponse({ ...parts, status: 799, headers: dated, framing: UNTIL_CLOSE }))).toBe(
    "HTTP/1.1 799 \r\ndate: then\r\n\r\n",
  );
});

test("chunks and the end of a chunked body", () => {
  expect(written(encodeChunk(bytesOf("x".repeat(26))))).toBe(`1a\r\n${"x".repeat(26)}\r\n`);
  expect(text(encodeLastChunk(undefined))).toBe("0\r\n\r\n");
  expect(text(encodeLastChunk(new HeaderList(["a", "b", "c", "d"])))).toBe("0\r\na: b\r\nc: d\r\n\r\n");
});

test("a chunked request's first chunk, and a long value", () => {
  const long = "v".repeat(5_000);
  const parts = {
    ...{ method: "PUT", target: "/", authority: "h", headers: new HeaderList(["a", long]) },
    ...{ framing: CHUNKED, connection: "" },
  };
  const head = `PUT / HTTP/1.1\r\nhost: h\r\na: ${long}\r\ntransfer-encoding: chunked\r\n\r\n`;
  expect(written(encodeRequest(parts, bytesOf("abc")))).toBe(`${head}3\r\nabc\r\n`);
  // An empty chunk would be the last.
  expect(written(encodeRequest(parts, bytesOf("")))).toBe(head);
});

test("what is larger than the encoders' memory is whole, and what comes after it, too", () => {
  const value = "v".repeat(300_000);
  const parts = { status: 200, headers: new HeaderList(["a", value]), framing: 3, connection: "", date: "" };
  expect(written(encodeResponse(parts, bytesOf("abc")))).toBe(
    `HTTP/1.1 200 OK\r\na: ${value}\r\ncontent-length: 3\r\n\r\nabc`,
  );
  expect(written(encodeChunk(bytesOf(value)))).toBe(`493e0\r\n${value}\r\n`);
  expect(written(encodeChunk(bytesOf("abc")))).toBe("3\r\nabc\r\n");
});

test("pieces become one, as long as they fit", () => {
  const pieces = ["3\r\n", bytesOf("abc"), "\r\n"];
  expect(written(gather(pieces, 8)!)).toBe("3\r\nabc\r\n");
  expect(gather([new Uint8Array(300_000)], 300_000)).toBe(undefined);
});
