import { expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { BytesBody, HeaderList, SluiceError } from "sluice/plugin";
import { createFakeClock } from "sluice/testing";
import { settled } from "../http1/test-server.ts";
import {
  answering,
  failure,
  http1,
  ManualBody,
  OK,
  outbound,
  peer,
  pieceOf,
  textOf,
  until,
} from "./test-kit.ts";
import type { Cancellable } from "./transport.ts";

/* Uploads, back-pressure, cancellation and timeouts over HTTP/1.1. */

const MEBIBYTE = Buffer.alloc(1_048_576, "x");

test("a streamed body of unknown length goes out chunk by chunk, with its trailers", async () => {
  using upstream = peer();
  const transport = http1({ port: upstream.port });
  const body = new ManualBody();
  const answer = transport.request(outbound({ method: "POST", body })).then(textOf);
  const connection = await upstream.connection(0);
  await connection.until("\r\n\r\n");
  expect(connection.received).toContain("transfer-encoding: chunked");
  body.push("hello");
  await connection.until("5\r\nhello\r\n");
  body.push(" there");
  await connection.until("6\r\n there\r\n");
  body.end(new HeaderList(["x-sum", "11"]));
  await connection.until("0\r\nx-sum: 11\r\n\r\n");
  connection.write(OK);
  expect(await answer).toBe("ok");
  expect(transport.connections.idle).toBe(1);
  transport.close();
});

test("a streamed body of known length goes out as it is", async () => {
  using server = Bun.serve({ port: 0, fetch: async (request) => new Response(await request.text()) });
  const body = new ManualBody(10);
  for (const piece of ["01", "234", "56789"]) body.push(piece);
  body.end();
  const answer = await http1({ port: server.port! }).request(outbound({ method: "PUT", body }));
  expect(await textOf(answer)).toBe("0123456789");
});

for (const [name, length, pieces] of [
  ["shorter", 10, ["01234"]],
  ["longer", 3, ["01", "2345"]],
] as const) {
  test(`a body that is ${name} than announced never looks complete`, async () => {
    using upstream = peer();
    const body = new ManualBody(length);
    const failed = failure(http1({ port: upstream.port }).request(outbound({ method: "PUT", body })));
    for (const piece of pieces) body.push(piece);
    body.end();
    expect((await failed).code).toBe("internal");
    expect(await upstream.connections[0]?.over).toBe("reset");
  });
}

test("a body that breaks off resets the upstream, and the request fails with the body's own error", async () => {
  using upstream = peer();
  const body = new ManualBody();
  body.push("part");
  const failed = failure(http1({ port: upstream.port }).request(outbound({ method: "POST", body })));
  const connection = await upstream.connection(0);
  await connection.until("part");
  body.fail(new SluiceError("request_timeout", "too slow"));
  expect((await failed).code).toBe("request_timeout");
  expect(await connection.over).toBe("reset");
});

test("a path or host that would split the request is refused before a byte is sent", async () => {
  using upstream = answering(OK);
  const request = outbound({ target: "/a HTTP/1.1\r\nx: y" });
  expect((await failure(http1({ port: upstream.port }).request(request))).code).toBe("internal");
  expect(request.progress.sent).toBe(false);
});

test("an upload of 64 MiB to a peer that does not read is held back, and arrives whole when it does", async () => {
  using upstream = peer();
  const transport = http1({ port: upstream.port });
  let handed = 0;
  const body = {
    length: 64 * MEBIBYTE.length,
    trailers: undefined,
    read: () => (handed === 64 ? null : (handed++, MEBIBYTE)),
    cancel() {},
  };
  const answer = transport.request(outbound({ method: "PUT", body }));
  const connection = await upstream.connection(0);
  connection.pause();
  // Nothing moves any more once the kernel's buffers are full.
  expect(await settled(() => handed)).toBeLessThan(24);
  connection.resume();
  await until(() => connection.bytes > 64 * MEBIBYTE.length);
  connection.write(OK);
  expect(await textOf(await answer)).toBe("ok");
  transport.close();
});

test("an answer that nobody reads is not fetched: the upstream is held back", async () => {
  using upstream = peer();
  const transport = http1({ port: upstream.port });
  const pending = transport.request(outbound());
  const connection = await upstream.connection(0);
  await connection.until("\r\n\r\n");
  connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${64 * MEBIBYTE.length}\r\n\r\n`);
  for (let i = 0; i < 64; i++) connection.write(MEBIBYTE);
  const answer = await pending;
  expect(await settled(() => connection.unsent)).toBeGreaterThan(32 * MEBIBYTE.length);
  let total = 0;
  for (;;) {
    const chunk = await answer.body!.read();
    if (chunk === null) break;
    total += chunk.byteLength;
  }
  expect(total).toBe(64 * MEBIBYTE.length);
  // It was paused; it is of use all the same.
  const again = transport.request(outbound());
  await until(() => connection.received.split("\r\n\r\n").length > 2);
  connection.write(OK);
  expect(await textOf(await again)).toBe("ok");
  transport.close();
});

test("a slow reader of an answer that ends with its connection gets all of it", async () => {
  using upstream = peer((connection) => {
    connection.write("HTTP/1.1 200 OK\r\n\r\n");
    for (let i = 0; i < 8; i++) connection.write(MEBIBYTE);
    void until(() => connection.unsent === 0).then(() => connection.end());
  });
  const answer = await http1({ port: upstream.port }).request(outbound());
  let total = 0;
  for (;;) {
    const chunk = await answer.body!.read();
    if (chunk === null) break;
    total += chunk.byteLength;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(total).toBe(8 * MEBIBYTE.length);
});

test("giving a request up closes its connection at once, before and in the middle of the answer", async () => {
  using upstream = peer();
  const transport = http1({ port: upstream.port });
  const early = outbound();
  const failed = failure(transport.request(early));
  await (await upstream.connection(0)).until("\r\n\r\n");
  early.give(new SluiceError("client_closed", "the client left"));
  expect((await failed).code).toBe("client_closed");
  expect(await upstream.connections[0]?.over).toBe("reset");

  const late = outbound();
  const pending = transport.request(late);
  const connection = await upstream.connection(1);
  await connection.until("\r\n\r\n");
  connection.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart");
  const answer = await pending;
  expect(await pieceOf(answer)).toBe("part");
  late.give(new SluiceError("client_closed", "the client left"));
  expect((await failure(Promise.resolve(answer.body?.read()))).code).toBe("client_closed");
  expect(await connection.over).toBe("reset");
  expect(transport.connections.open).toBe(0);
});

test("a request that was given up before it was made fails without a connection", async () => {
  using upstream = answering(OK);
  const request = {
    ...outbound(),
    onCancel: (call: Cancellable) => call.cancelled(new SluiceError("client_closed", "the client left")),
  };
  expect((await failure(http1({ port: upstream.port }).request(request))).code).toBe("client_closed");
  expect(upstream.connections).toHaveLength(0);
});

// Answers that come before the request is through.

test("an early answer passes while the body is still going out, and the connection is closed after it", async () => {
  using upstream = peer();
  const transport = http1({ port: upstream.port });
  const body = new ManualBody();
  body.push("begin");
  const pending = transport.request(outbound({ method: "POST", body }));
  const connection = await upstream.connection(0);
  await connection.until("begin");
  connection.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha");
  const answer = await pending;
  body.push("still");
  await connection.until("still");
  connection.write("lf");
  expect(await textOf(answer)).toBe("half");
  expect(await connection.over).toBe("reset");
  expect(body.cancelled).toBe(true);
  expect(transport.connections.open).toBe(0);
});

test("a refusal that closes stops the upload, and its text arrives", async () => {
  const server = createServer((_request, response) => {
    response.writeHead(413, { connection: "close" });
    response.end("too much");
  }).listen(0);
  const body = new ManualBody();
  body.push("x".repeat(100));
  const transport = http1({ port: (server.address() as AddressInfo).port });
  const answer = await transport.request(outbound({ method: "POST", body }));
  expect(answer.status).toBe(413);
  expect(await textOf(answer)).toBe("too much");
  await until(() => body.cancelled);
  server.close();
});

test("100 Continue, which nobody waits for, is read past", async () => {
  using upstream = peer();
  const transport = http1({ port: upstream.port });
  const body = new BytesBody(Buffer.from("payload"));
  const pending = transport.request(outbound({ method: "POST", body }));
  const connection = await upstream.connection(0);
  await connection.until("\r\n\r\npayload");
  connection.write(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
  expect(await textOf(await pending)).toBe("ok");
  transport.close();
});

// Time.

test("no head in time is timeout.first_byte, and the connection is closed", async () => {
  const clock = createFakeClock();
  using upstream = answering("HTTP/1.1 103 Early Hints\r\n\r\n");
  const transport = http1({ port: upstream.port, clock });
  const failed = failure(transport.request(outbound({ timeouts: { firstByte: 2_000 } })));
  const connection = await upstream.connection(0);
  await connection.until("\r\n\r\n");
  await clock.advance(1_900);
  expect(transport.connections.open).toBe(1);
  await clock.advance(200);
  const error = await failed;
  expect([error.code, error.reason, error.status]).toEqual(["upstream_timeout", "timeout.first_byte", 504]);
  expect(await connection.over).toBe("reset");
});

test("the wait for the head begins when the request is through", async () => {
  const clock = createFakeClock();
  using upstream = peer();
  const transport = http1({ port: upstream.port, clock });
  const body = new ManualBody();
  const pending = transport.request(outbound({ method: "POST", body, timeouts: { firstByte: 1_000 } }));
  const connection = await upstream.connection(0);
  await connection.until("\r\n\r\n");
  await clock.advance(60_000);
  body.push("slow client");
  body.end();
  await connection.until("0\r\n\r\n");
  connection.write(OK);
  expect(await textOf(await pending)).toBe("ok");
  transport.close();
});

test("silence in the middle of an answer is timeout.idle, each piece begins it anew", async () => {
  const clock = createFakeClock();
  using upstream = answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na");
  const transport = http1({ port: upstream.port, clock });
  const answer = await transport.request(outbound({ timeouts: { idle: 1_000 } }));
  expect(await pieceOf(answer)).toBe("a");
  await clock.advance(900);
  upstream.connections[0]?.write("b");
  expect(await pieceOf(answer)).toBe("b");
  await clock.advance(900);
  const failed = failure(Promise.resolve(answer.body?.read()));
  await clock.advance(200);
  expect((await failed).reason).toBe("timeout.idle");
  expect(await upstream.connections[0]?.over).toBe("reset");
});

test("a reader that takes its time is no silence of the upstream", async () => {
  const clock = createFakeClock();
  const body = "y".repeat(1_000_000);
  using upstream = answering(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  const transport = http1({ port: upstream.port, clock });
  const answer = await transport.request(outbound({ timeouts: { idle: 1_000 } }));
  // Long enough for the queue to fill and the connection to be paused.
  await settled(() => upstream.connections[0]?.unsent ?? 0);
  await clock.advance(60_000);
  expect((await textOf(answer)).length).toBe(body.length);
  transport.close();
});

test("a peer that stops to take the request is timeout.idle", async () => {
  const clock = createFakeClock();
  using upstream = peer();
  const transport = http1({ port: upstream.port, clock });
  let handed = 0;
  const body = { length: undefined, trailers: undefined, read: () => (handed++, MEBIBYTE), cancel() {} };
  const failed = failure(transport.request(outbound({ method: "PUT", body, timeouts: { idle: 1_000 } })));
  (await upstream.connection(0)).pause();
  await settled(() => handed);
  await clock.advance(1_200);
  expect((await failed).reason).toBe("timeout.idle");
});

test("a timeout ends one request and not its neighbours", async () => {
  const clock = createFakeClock();
  using upstream = peer();
  const transport = http1({ port: upstream.port, clock });
  const short = failure(transport.request(outbound({ timeouts: { firstByte: 500 } })));
  const long = transport.request(outbound({ target: "/long", timeouts: { firstByte: 5_000 } }));
  const connection = await upstream.connection(1);
  await connection.until("\r\n\r\n");
  await upstream.connections[0]?.until("\r\n\r\n");
  await clock.advance(600);
  expect((await short).reason).toBe("timeout.first_byte");
  const other = upstream.connections.find(({ received }) => received.includes("/long"));
  other?.write(OK);
  expect(await textOf(await long)).toBe("ok");
  transport.close();
});
