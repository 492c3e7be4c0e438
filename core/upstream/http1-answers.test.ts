import { afterEach, expect, test } from "bun:test";
import fc from "fast-check";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BytesBody, HeaderList } from "sluice/plugin";
import { answering, failure, http1, OK, outbound, peer, pieceOf, textOf, until } from "./test-kit.ts";
import type { Transport } from "./transport.ts";

/* What an HTTP/1.1 upstream may answer, and what becomes of it. */

const open: Transport[] = [];
afterEach(() => {
  for (const transport of open.splice(0)) transport.close();
});

function transportTo(port: number): Transport {
  const transport = http1({ port });
  open.push(transport);
  return transport;
}

test("status, fields in order with duplicates, and body of Bun.serve", async () => {
  using server = Bun.serve({
    port: 0,
    fetch: (request) => new Response(`${request.method} ${new URL(request.url).pathname}`, { status: 201 }),
  });
  const transport = transportTo(server.port!);
  const answer = await transport.request(outbound({ method: "DELETE", target: "/a/b?c" }));
  expect(answer.status).toBe(201);
  expect(answer.body?.length).toBe(11);
  expect(await textOf(answer)).toBe("DELETE /a/b");
});

test("the request on the wire: target, Host, fields as given, no invented ones", async () => {
  using upstream = answering(OK);
  const headers = new HeaderList(["x-a", "1", "cookie", "a=\xe9", "x-a", "2"]);
  await transportTo(upstream.port).request(outbound({ target: "/p?q", authority: "shop.test:81", headers }));
  expect(upstream.connections[0]?.received).toBe(
    "GET /p?q HTTP/1.1\r\nhost: shop.test:81\r\nx-a: 1\r\ncookie: a=\xe9\r\nx-a: 2\r\n\r\n",
  );
});

test("a small body leaves with its head in one piece", async () => {
  const pieces: number[] = [];
  using upstream = peer((connection) => {
    pieces.push(connection.bytes);
    connection.write(OK);
  });
  const body = new BytesBody(Buffer.from("name=value"));
  await transportTo(upstream.port).request(outbound({ method: "POST", body }));
  expect(pieces).toHaveLength(1);
  expect(upstream.connections[0]?.received).toEndWith("content-length: 10\r\n\r\nname=value");
});

test("a POST without a body says content-length: 0, a GET says nothing", async () => {
  using upstream = answering(OK);
  const transport = transportTo(upstream.port);
  await textOf(await transport.request(outbound({ method: "POST" })));
  await textOf(await transport.request(outbound({ method: "GET" })));
  const [post, get] = (upstream.connections[0]?.received ?? "").split("\r\n\r\n");
  expect(post).toContain("content-length: 0");
  expect(get).not.toContain("content-length");
});

test("a chunked answer of node:http, trailers included", async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { trailer: "x-sum" });
    response.write("one,");
    response.write("two");
    response.addTrailers({ "x-sum": "7" });
    response.end();
  }).listen(0);
  const answer = await transportTo((server.address() as AddressInfo).port).request(outbound());
  expect(answer.headers.has("transfer-encoding")).toBe(false);
  expect(answer.body?.length).toBeUndefined();
  expect(await textOf(answer)).toBe("one,two");
  expect(answer.body?.trailers?.get("x-sum")).toBe("7");
  server.close();
});

test("a unix socket", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-upstream-"));
  const path = join(dir, "upstream.sock");
  using _server = Bun.serve({ unix: path, fetch: () => new Response("over unix") });
  const transport = http1({ socketPath: path });
  open.push(transport);
  expect(await textOf(await transport.request(outbound()))).toBe("over unix");
  rmSync(dir, { recursive: true });
});

test("an answer that ends with its connection is complete at FIN, and broken at reset", async () => {
  using upstream = answering("HTTP/1.1 200 OK\r\n\r\nall of ");
  const transport = transportTo(upstream.port);
  const whole = await transport.request(outbound());
  upstream.connections[0]?.write("it");
  upstream.connections[0]?.end();
  expect(await textOf(whole)).toBe("all of it");

  const cut = await transport.request(outbound());
  upstream.connections[1]?.reset();
  expect((await failure(textOf(cut))).reason).toBe("reset");
});

for (const [name, method, head] of [
  ["an answer to HEAD", "HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"],
  ["a 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n"],
  ["a 304", "GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"],
] as const) {
  test(`${name} has no body, and its connection is used again`, async () => {
    using upstream = answering(head, OK);
    const transport = transportTo(upstream.port);
    expect((await transport.request(outbound({ method }))).body).toBeNull();
    expect(await textOf(await transport.request(outbound()))).toBe("ok");
    expect(upstream.connections).toHaveLength(1);
  });
}

test("103 is passed on, 100 and 102 do not disturb, the final answer follows", async () => {
  using upstream = answering(
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n" +
      "HTTP/1.1 102 Processing\r\n\r\n" +
      OK,
  );
  const request = outbound();
  expect(await textOf(await transportTo(upstream.port).request(request))).toBe("ok");
  expect(request.informed.map(({ status }) => status)).toEqual([103, 102]);
  expect(request.informed[0]?.headers.get("link")).toBe("</a.css>");
});

for (const [name, bytes] of [
  ["garbage", "\x16\x03\x01 who are you\r\n\r\n"],
  ["a version that is not HTTP/1", "HTTP/2.0 200 OK\r\n\r\n"],
  [
    "101 that nobody asked for",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
  ],
  ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"],
  [
    "a header block without end",
    `HTTP/1.1 200 OK\r\n${"x-pad: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(5_000)}`,
  ],
] as const) {
  test(`${name} is a protocol failure, and the connection is closed`, async () => {
    using upstream = answering(bytes);
    const transport = transportTo(upstream.port);
    const error = await failure(transport.request(outbound()));
    expect([error.code, error.reason, error.status]).toEqual(["upstream_failed", "protocol", 502]);
    await upstream.connections[0]?.over;
    expect(transport.connections.open).toBe(0);
  });
}

test("a broken chunk fails the body, never ends it", async () => {
  using upstream = answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n");
  const answer = await transportTo(upstream.port).request(outbound());
  expect((await failure(textOf(answer))).reason).toBe("protocol");
});

test("half a body and FIN fails the body after what came", async () => {
  using upstream = answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
  const answer = await transportTo(upstream.port).request(outbound());
  upstream.connections[0]?.end();
  expect(await pieceOf(answer)).toBe("half");
  const error = await failure(Promise.resolve(answer.body?.read()));
  expect([error.code, error.reason]).toEqual(["upstream_failed", "reset"]);
});

for (const [name, part] of [
  ["nothing", ""],
  ["half a head", "HTTP/1.1 200 OK\r\ncontent-le"],
] as const) {
  test(`${name} and FIN is a reset`, async () => {
    using upstream = peer((connection) => {
      connection.write(part);
      connection.end();
    });
    const error = await failure(transportTo(upstream.port).request(outbound()));
    expect([error.code, error.reason]).toEqual(["upstream_failed", "reset"]);
  });
}

test("two answers to one request: the first is taken, the connection is not used again", async () => {
  using upstream = answering(OK + OK, OK);
  const transport = transportTo(upstream.port);
  expect(await textOf(await transport.request(outbound()))).toBe("ok");
  await upstream.connections[0]?.over;
  expect(await textOf(await transport.request(outbound()))).toBe("ok");
  expect(upstream.connections).toHaveLength(2);
});

test("any body in any pieces arrives as it was sent", async () => {
  const body = fc.uint8Array({ maxLength: 3_000 });
  const cuts = fc.array(fc.nat(4_000), { maxLength: 12 });
  const framing = fc.constantFrom("length", "chunked", "close");
  await fc.assert(
    fc.asyncProperty(body, cuts, fc.integer({ min: 1, max: 700 }), framing, async (bytes, at, size, how) => {
      const message = Buffer.concat(messageOf(bytes, size, how));
      const edges = [0, ...at.filter((cut) => cut < message.length).sort((a, b) => a - b), message.length];
      using upstream = peer((connection) => {
        void (async () => {
          for (let i = 1; i < edges.length; i++) {
            connection.write(message.subarray(edges[i - 1], edges[i]));
            // Lets the other side read this piece by itself.
            await new Promise((resolve) => setImmediate(resolve));
          }
          if (how === "close") connection.end();
        })();
      });
      const transport = http1({ port: upstream.port });
      const text = await textOf(await transport.request(outbound()));
      expect(text).toBe(Buffer.from(bytes).toString("latin1"));
      await until(() => transport.connections.idle === (how === "close" ? 0 : 1));
      transport.close();
    }),
    { numRuns: 60 },
  );
});

function messageOf(bytes: Uint8Array, size: number, how: string): Uint8Array[] {
  if (how === "length") {
    return [Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`), bytes];
  }
  if (how === "close") return [Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), bytes];
  const parts: Uint8Array[] = [Buffer.from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")];
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  parts.push(Buffer.from("0\r\n\r\n"));
  return parts;
}
