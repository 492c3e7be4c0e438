import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BytesBody, HeaderList } from "sluice/plugin";
import { createFakeClock } from "sluice/testing";
import { startEchoServer } from "../e2e/grpc-echo.ts";
import { DATA, END_STREAM, h2Peer, HEADERS, OK_HEAD, RST_STREAM } from "./test-h2-peer.ts";
import { answering, failure, http2, ManualBody, outbound, textOf, until } from "./test-kit.ts";
import type { Transport } from "./transport.ts";

/* What an HTTP/2 upstream may answer, and what becomes of it. */

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const close of cleanUp.splice(0)) close();
});

function transportTo(port: number): Transport {
  const transport = http2({ port });
  cleanUp.push(() => transport.close());
  return transport;
}

async function served(
  answer: (stream: ServerHttp2Stream, path: string, raw: readonly string[]) => void,
  at: { path?: string } = {},
): Promise<{ port: number; server: Http2Server }> {
  const server = createServer();
  server.on("session", (session) => void session.on("error", () => {}));
  server.on(
    "stream",
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw?: readonly string[]) => {
      stream.on("error", () => {});
      answer(stream, String(headers[":path"]), raw ?? []);
    },
  );
  await new Promise<void>((resolve) => server.listen(at.path ?? 0, resolve));
  cleanUp.push(() => server.close());
  return { port: at.path === undefined ? (server.address() as AddressInfo).port : 0, server };
}

const GRPC = new HeaderList(["content-type", "application/grpc", "te", "trailers"]);

/** A t.Message with that text, framed for gRPC, as the echo service writes it back: its number, 0, included. */
function message(text: string): Uint8Array {
  const fields = Buffer.concat([Buffer.of(10, text.length), Buffer.from(text), Buffer.of(16, 0)]);
  return Buffer.concat([Buffer.of(0, 0, 0, 0, fields.length), fields]);
}

test("fields in order with duplicates, both ways, byte for byte", async () => {
  let seen: readonly string[] = [];
  const { port } = await served((stream, _path, raw) => {
    seen = raw;
    stream.respond({ ":status": 201, "set-cookie": ["a=1", "b=2"], "x-b": "\xe9" }, { endStream: true });
  });
  const headers = new HeaderList(["x-a", "1", "x-b", "\xe9", "x-a", "2", "te", "trailers"]);
  const answer = await transportTo(port).request(
    outbound({ target: "/p?q", authority: "a.test:81", headers }),
  );
  expect(seen).toEqual([
    ...[":method", "GET", ":scheme", "http", ":authority", "a.test:81", ":path", "/p?q"],
    ...["x-a", "1", "x-b", "\xe9", "x-a", "2", "te", "trailers"],
  ]);
  expect(answer.status).toBe(201);
  expect(answer.headers.all("set-cookie")).toEqual(["a=1", "b=2"]);
  expect(answer.headers.get("x-b")).toBe("\xe9");
  expect(answer.headers.has(":status")).toBe(false);
  expect(answer.body).toBeNull();
});

test("what belongs to a connection of HTTP/1.1, and what the transport says itself, is left out", async () => {
  let seen: readonly string[] = [];
  const { port } = await served((stream, _path, raw) => {
    seen = raw;
    stream.resume();
    stream.respond({ ":status": 204 }, { endStream: true });
  });
  const headers = new HeaderList(["host", "b.test", "connection", "x-a", "content-length", "9", "x-a", "1"]);
  const body = new BytesBody(Buffer.from("four"));
  await transportTo(port).request(outbound({ method: "POST", headers, body }));
  expect(seen.slice(8)).toEqual(["x-a", "1", "content-length", "4"]);
});

test("a small request is HEADERS and one DATA that ends the stream, its length announced where it was known", async () => {
  using upstream = h2Peer({
    frame: (session, { flags, stream }) => {
      if (flags & END_STREAM) session.head(stream, OK_HEAD, true);
    },
  });
  const transport = transportTo(upstream.port);
  await transport.request(outbound({ method: "POST", body: new BytesBody(Buffer.from("hello")) }));
  await transport.request(outbound());
  const [session] = upstream.sessions;
  expect(session?.of(1).map(({ type, flags }) => [type, flags & END_STREAM])).toEqual([
    [HEADERS, 0],
    [DATA, END_STREAM],
  ]);
  expect(session?.text(1)).toBe("hello");
  expect(session?.of(3).map(({ type, flags }) => [type, flags & END_STREAM])).toEqual([
    [HEADERS, END_STREAM],
  ]);
});

test("an answer with body and trailers, a request with body and trailers", async () => {
  let trailers: readonly string[] = [];
  const { port } = await served((stream) => {
    stream.on("trailers", (_fields, _flags, raw?: readonly string[]) => {
      trailers = raw ?? [];
    });
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-t": ["1", "2"] }));
    stream.pipe(stream);
  });
  const body = new ManualBody();
  const pending = transportTo(port).request(outbound({ method: "POST", body }));
  body.push("one,");
  body.push("two");
  body.end(new HeaderList(["x-sum", "7", "x-sum", "8"]));
  const answer = await pending;
  expect(await textOf(answer)).toBe("one,two");
  expect(answer.body?.trailers?.flat).toEqual(["grpc-status", "0", "x-t", "1", "x-t", "2"]);
  expect(trailers).toEqual(["x-sum", "7", "x-sum", "8"]);
});

test("what may not stand in a trailer section is left out of it, both ways", async () => {
  let trailers: readonly string[] | undefined;
  const { port } = await served((stream) => {
    stream.on("trailers", (_fields, _flags, raw?: readonly string[]) => {
      trailers = raw ?? [];
    });
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    const late = { "set-cookie": "a=1", "grpc-status": "0", "content-length": "9" };
    stream.on("wantTrailers", () => stream.sendTrailers(late));
    stream.pipe(stream);
  });
  const forged = ["x-forwarded-for", "192.0.2.9", "authorization", "Bearer x"];
  const body = new BytesBody(Buffer.from("x"), new HeaderList([...forged, "x-sum", "7"]));
  const answer = await transportTo(port).request(outbound({ method: "POST", body }));
  expect(await textOf(answer)).toBe("x");
  expect(answer.body?.trailers?.flat).toEqual(["grpc-status", "0"]);
  expect(trailers).toEqual(["x-sum", "7"]);

  trailers = undefined;
  const nothingLeft = new BytesBody(Buffer.from("y"), new HeaderList(forged));
  const second = await transportTo(port).request(outbound({ method: "POST", body: nothingLeft }));
  expect(await textOf(second)).toBe("y");
  expect(trailers).toBeUndefined();
});

test("a streamed request without trailers ends all the same", async () => {
  const { port } = await served((stream) => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  const body = new ManualBody();
  const pending = transportTo(port).request(outbound({ method: "POST", body }));
  body.push("streamed");
  body.end();
  expect(await textOf(await pending)).toBe("streamed");
});

test("HEAD, 204 and 304 have no body, also where the stream ends later", async () => {
  using upstream = h2Peer({
    frame: (session, { type, stream }) => {
      if (type !== HEADERS) return;
      session.head(stream, [[":status", stream === 1 ? "200" : stream === 3 ? "204" : "304"]]);
      session.data(stream, "", true);
    },
  });
  const transport = transportTo(upstream.port);
  for (const [method, status] of [
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 304],
  ] as const) {
    const answer = await transport.request(outbound({ method }));
    expect([answer.status, answer.body]).toEqual([status, null]);
  }
  await until(() => transport.connections.idle === 1);
});

test("103 is passed on and 100 is not", async () => {
  using upstream = h2Peer({
    frame: (session, { stream }) => {
      session.head(stream, [[":status", "100"]]);
      session.head(stream, [
        [":status", "103"],
        ["link", "</a.css>"],
      ]);
      session.head(stream, OK_HEAD, true);
    },
  });
  const request = outbound();
  expect((await transportTo(upstream.port).request(request)).status).toBe(200);
  expect(request.informed.map(({ status, headers }) => [status, headers.flat])).toEqual([
    [103, ["link", "</a.css>"]],
  ]);
});

test("a unix socket", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-upstream-"));
  const path = join(dir, "upstream.sock");
  await served((stream) => stream.respond({ ":status": 200 }, { endStream: true }), { path });
  const transport = http2({ socketPath: path });
  expect((await transport.request(outbound())).status).toBe(200);
  transport.close();
  rmSync(dir, { recursive: true });
});

test("gRPC of grpc-js: unary with trailers, and Trailers-Only without a body", async () => {
  await using echo = await startEchoServer();
  const transport = transportTo(echo.port);
  const call = (text: string) =>
    transport.request(
      outbound({
        method: "POST",
        target: "/t.Echo/Unary",
        headers: GRPC,
        body: new BytesBody(message(text)),
      }),
    );
  const answer = await call("hi");
  expect(await textOf(answer)).toBe(Buffer.from(message("hi")).toString("latin1"));
  expect(answer.body?.trailers?.get("grpc-status")).toBe("0");

  const refused = await transport.request(
    outbound({ method: "POST", target: "/t.Echo/Nothing", headers: GRPC, body: new BytesBody(message("x")) }),
  );
  expect([refused.status, refused.body]).toEqual([200, null]);
  expect(refused.headers.get("grpc-status")).toBe("12");
});

test("gRPC of grpc-js: a bidirectional stream, message by message", async () => {
  await using echo = await startEchoServer();
  const body = new ManualBody();
  const pending = transportTo(echo.port).request(
    outbound({ method: "POST", target: "/t.Echo/Bidi", headers: GRPC, body }),
  );
  body.push(message("0"));
  const answer = await pending;
  for (let i = 0; i < 5; i++) {
    if (i > 0) body.push(message(String(i)));
    expect(Buffer.from((await answer.body?.read()) ?? [])).toEqual(Buffer.from(message(String(i))));
  }
  body.end();
  expect(await answer.body?.read()).toBeNull();
  expect(answer.body?.trailers?.get("grpc-status")).toBe("0");
});

test("gRPC of grpc-js: giving a call up cancels it at the server", async () => {
  await using echo = await startEchoServer();
  const transport = transportTo(echo.port);
  const cancelled = echo.nextCancel();
  const request = outbound({
    method: "POST",
    target: "/t.Echo/Unary",
    headers: GRPC,
    body: new BytesBody(message("hang")),
  });
  const failed = failure(transport.request(request));
  await until(() => echo.metadata.length === 1);
  request.give(new Error("gone"));
  expect((await failed).code).toBe("client_closed");
  await cancelled;
  await until(() => transport.connections.idle === 1);
});

test("a peer that speaks HTTP/1.1 is a protocol failure before anything was sent", async () => {
  using upstream = answering("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
  const request = outbound();
  const error = await failure(transportTo(upstream.port).request(request));
  expect([error.code, error.reason]).toEqual(["upstream_failed", "protocol"]);
  expect(request.progress.sent).toBe(false);
});

test("a refused connection is a connect failure", async () => {
  const { port, server } = await served(() => {});
  await new Promise((resolve) => server.close(resolve));
  const error = await failure(transportTo(port).request(outbound()));
  expect([error.code, error.reason]).toEqual(["upstream_failed", "connect"]);
});

test("an answer without a body whose stream never ends does not keep its place for ever", async () => {
  using upstream = h2Peer({
    frame: (session, { type, stream }) => {
      if (type === HEADERS) session.head(stream, OK_HEAD);
    },
  });
  const clock = createFakeClock();
  const transport = http2({ port: upstream.port, clock });
  const answer = await transport.request(outbound({ method: "HEAD", timeouts: { idle: 1_000 } }));
  expect([answer.body, transport.connections.idle]).toEqual([null, 0]);
  await clock.advance(2_000);
  await upstream.sessions[0]!.frame(({ type }) => type === RST_STREAM);
  await until(() => transport.connections.idle === 1);
  transport.close();
});
