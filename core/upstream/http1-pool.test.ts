import { expect, test } from "bun:test";
import { createFakeClock } from "sluice/testing";
import { BytesBody } from "sluice/plugin";
import { answering, failure, http1, ManualBody, OK, outbound, peer, textOf, until } from "./test-kit.ts";

/* Which connection a request gets, which are kept, and what happens when there is none. */

const HANGS = "";

test("requests one after the other share a connection, requests at a time do not", async () => {
  using upstream = answering(OK);
  const transport = http1({ port: upstream.port });
  for (let i = 0; i < 5; i++) await textOf(await transport.request(outbound()));
  expect(upstream.connections).toHaveLength(1);
  await Promise.all([1, 2, 3].map(async () => textOf(await transport.request(outbound()))));
  expect(upstream.connections).toHaveLength(3);
  expect(transport.connections).toEqual({ open: 3, idle: 3 });
  transport.close();
});

test("progress says whether the connection had carried a request", async () => {
  using upstream = answering(OK);
  const transport = http1({ port: upstream.port });
  const [first, second] = [outbound(), outbound()];
  await textOf(await transport.request(first));
  await textOf(await transport.request(second));
  expect([first.progress.reused, second.progress.reused]).toEqual([false, true]);
  expect(second.progress.sent).toBe(true);
  transport.close();
});

test("the most recently used connection is used next, so that the others grow idle and are closed", async () => {
  const clock = createFakeClock();
  using upstream = answering(OK);
  const transport = http1({ port: upstream.port, clock, pool: { idleTimeout: 10_000 } });
  await Promise.all([1, 2, 3].map(async () => textOf(await transport.request(outbound()))));
  for (let second = 0; second < 11; second++) {
    await textOf(await transport.request(outbound()));
    await clock.advance(1_000);
  }
  expect(transport.connections).toEqual({ open: 1, idle: 1 });
  await clock.advance(10_000);
  expect(transport.connections.open).toBe(0);
  for (const connection of upstream.connections) expect(await connection.over).toBe("fin");
  await clock.advance(200);
  expect(clock.pending).toBe(0);
});

test("a connection that is old takes no new request, however busy it is kept; one under way ends in peace", async () => {
  const clock = createFakeClock();
  using upstream = peer((connection) => connection.bytes);
  const transport = http1({ port: upstream.port, clock, pool: { maxAge: 100_000 } });
  for (let i = 0; i < 8; i++) {
    const asked = transport.request(outbound());
    const connection = await upstream.connection(0);
    await until(() => connection.received.split("GET ").length === i + 2);
    connection.write(OK);
    expect(await textOf(await asked)).toBe("ok");
    await clock.advance(10_000);
  }
  const last = transport.request(outbound());
  const old = await upstream.connection(0);
  await until(() => old.received.split("GET ").length === 10);
  await clock.advance(20_100);
  old.write(OK);
  expect(await textOf(await last)).toBe("ok");
  expect(await old.over).toBe("fin");
  const next = transport.request(outbound());
  (await upstream.connection(1)).write(OK);
  expect(await textOf(await next)).toBe("ok");
  // Nor is one that is not used kept beyond its age.
  await clock.advance(59_000);
  expect(transport.connections.open).toBe(1);
  transport.close();
});

test("an unused connection that is old is closed", async () => {
  const clock = createFakeClock();
  using upstream = answering(OK);
  const transport = http1({ port: upstream.port, clock, pool: { maxAge: 10_000 } });
  expect(await textOf(await transport.request(outbound()))).toBe("ok");
  await clock.advance(8_900);
  expect(transport.connections.open).toBe(1);
  await clock.advance(1_200);
  expect(transport.connections.open).toBe(0);
});

test("a peer that says Keep-Alive: timeout=5 is not asked after 4 seconds", async () => {
  const clock = createFakeClock();
  using upstream = answering("HTTP/1.1 200 OK\r\nkeep-alive: timeout=5\r\ncontent-length: 0\r\n\r\n");
  const transport = http1({ port: upstream.port, clock });
  await transport.request(outbound());
  await clock.advance(3_900);
  expect(transport.connections.open).toBe(1);
  await clock.advance(200);
  expect(transport.connections.open).toBe(0);
});

for (const [name, answer] of [
  ["Connection: close", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"],
  ["an HTTP/1.0 answer", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"],
  ["bytes after the answer", `${OK}HTTP`],
] as const) {
  test(`${name} ends the connection after the answer`, async () => {
    using upstream = answering(answer, OK);
    const transport = http1({ port: upstream.port });
    expect(await textOf(await transport.request(outbound()))).toBe("ok");
    await upstream.connections[0]?.over;
    expect(transport.connections.open).toBe(0);
  });
}

test("bytes on an idle connection close it", async () => {
  using upstream = answering(OK);
  const transport = http1({ port: upstream.port });
  await textOf(await transport.request(outbound()));
  upstream.connections[0]?.write("HTTP/1.1 408 Request Timeout\r\n\r\n");
  await upstream.connections[0]?.over;
  expect(transport.connections.open).toBe(0);
  expect(await textOf(await transport.request(outbound()))).toBe("ok");
  transport.close();
});

test("an idle connection that the peer closes is forgotten", async () => {
  using upstream = answering(OK);
  const transport = http1({ port: upstream.port });
  await textOf(await transport.request(outbound()));
  upstream.connections[0]?.end();
  await until(() => transport.connections.open === 0);
});

test("an answer whose body nobody reads to its end does not leave a connection that is owed one", async () => {
  using upstream = answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart", OK);
  const transport = http1({ port: upstream.port });
  const answer = await transport.request(outbound());
  answer.body?.cancel();
  expect(await upstream.connections[0]?.over).toBeDefined();
  expect(await textOf(await transport.request(outbound()))).toBe("ok");
  transport.close();
});

test("above max_connections requests wait in order; above max_pending they are refused with Retry-After", async () => {
  using upstream = peer();
  const transport = http1({ port: upstream.port, pool: { maxConnections: 1, maxPending: 2 } });
  const order: number[] = [];
  const run = async (n: number) => {
    const text = await textOf(await transport.request(outbound({ target: `/${n}` })));
    order.push(n);
    return text;
  };
  const running = [run(1), run(2), run(3)];
  const error = await failure(transport.request(outbound()));
  expect([error.code, error.reason, error.status]).toEqual(["unavailable", "overflow", 503]);
  expect(error.headers).toEqual([["retry-after", "1"]]);

  const connection = await upstream.connection(0);
  for (const n of [1, 2, 3]) {
    await connection.until(`GET /${n} `);
    connection.write(OK);
  }
  expect(await Promise.all(running)).toEqual(["ok", "ok", "ok"]);
  expect(order).toEqual([1, 2, 3]);
  expect(upstream.connections).toHaveLength(1);
  transport.close();
});

test("waiting for a connection ends with the connect timeout, as an overflow where all are busy", async () => {
  const clock = createFakeClock();
  using upstream = answering(HANGS);
  const transport = http1({ port: upstream.port, clock, pool: { maxConnections: 1 } });
  const busy = outbound();
  const hanging = failure(transport.request(busy));
  await (await upstream.connection(0)).until("\r\n\r\n");
  const waiting = failure(transport.request(outbound({ timeouts: { connect: 500 } })));
  await clock.advance(600);
  expect((await waiting).reason).toBe("overflow");
  busy.give("enough");
  await hanging;
});

test("a request that waits can be given up, and leaves its place", async () => {
  using upstream = answering(HANGS);
  const transport = http1({ port: upstream.port, pool: { maxConnections: 1, maxPending: 1 } });
  const [running, first, second] = [outbound(), outbound(), outbound()];
  const all = [running, first].map((request) => failure(transport.request(request)));
  first.give("gone");
  expect((await all[1])?.code).toBe("client_closed");
  const third = failure(transport.request(second));
  second.give("gone");
  expect((await third).code).toBe("client_closed");
  running.give("gone");
  await all[0];
});

test("a refused connection is a connect failure for everybody who waits", async () => {
  const gone = peer();
  gone[Symbol.dispose]();
  const transport = http1({ port: gone.port });
  const errors = await Promise.all([1, 2, 3].map(() => failure(transport.request(outbound()))));
  for (const error of errors) {
    expect([error.code, error.reason, error.status]).toEqual(["upstream_failed", "connect", 502]);
  }
  expect(transport.connections.open).toBe(0);
});

test("a failed connect sends nothing and leaves the body alone", async () => {
  const transport = http1({ socketPath: "/nonexistent/upstream.sock" });
  const body = new ManualBody(4);
  const request = outbound({ method: "POST", body });
  expect((await failure(transport.request(request))).reason).toBe("connect");
  expect([request.progress.sent, body.reads, body.cancelled]).toEqual([false, 0, false]);
});

test("close lets running and waiting requests finish and closes what is unused", async () => {
  using upstream = peer();
  const transport = http1({ port: upstream.port, pool: { maxConnections: 1 } });
  const running = transport.request(outbound()).then(textOf);
  const waiting = transport.request(outbound()).then(textOf);
  const connection = await upstream.connection(0);
  await connection.until("\r\n\r\n");
  transport.close();
  connection.write(OK);
  expect(await running).toBe("ok");
  connection.write(OK);
  expect(await waiting).toBe("ok");
  expect(await connection.over).toBe("fin");
  expect(transport.connections.open).toBe(0);
});

// What a stale connection is tried again for.

function staleAfterFirst() {
  // Answers one request on each connection and cuts it at the second.
  return peer((connection) => {
    if (connection.received.split("\r\n\r\n").length === 2) connection.write(OK);
    else connection.reset();
  });
}

for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]) {
  test(`${method} on a connection that turns out dead is sent once more on a fresh one`, async () => {
    using upstream = staleAfterFirst();
    const transport = http1({ port: upstream.port });
    await textOf(await transport.request(outbound()));
    const body = method === "PUT" ? new BytesBody(Buffer.from("kept")) : null;
    const request = outbound({ method, body });
    expect((await transport.request(request)).status).toBe(200);
    expect(request.progress.reused).toBe(false);
    expect(upstream.connections).toHaveLength(2);
    if (body !== null) expect(upstream.connections[1]?.received).toEndWith("\r\n\r\nkept");
    transport.close();
  });
}

test("several stale connections are not tried one after the other", async () => {
  using upstream = peer((connection, index) => {
    if (index < 3 && connection.received.split("\r\n\r\n").length > 2) connection.reset();
    else connection.write(OK);
  });
  const transport = http1({ port: upstream.port });
  await Promise.all([1, 2, 3].map(async () => textOf(await transport.request(outbound()))));
  expect(await textOf(await transport.request(outbound()))).toBe("ok");
  expect(upstream.connections).toHaveLength(4);
  transport.close();
});

test("a POST that was sent is not sent again", async () => {
  using upstream = staleAfterFirst();
  const transport = http1({ port: upstream.port });
  await textOf(await transport.request(outbound()));
  const request = outbound({ method: "POST", body: new BytesBody(Buffer.from("pay")) });
  expect((await failure(transport.request(request))).reason).toBe("reset");
  expect([request.progress.sent, request.progress.reused]).toEqual([true, true]);
  expect(upstream.connections).toHaveLength(1);
});

test("a streamed body that was begun is not sent again, whatever the method", async () => {
  using upstream = peer((connection) => {
    if (connection.received.endsWith("\r\n\r\n")) connection.write(OK);
    else connection.reset();
  });
  const transport = http1({ port: upstream.port });
  await textOf(await transport.request(outbound()));
  const body = new ManualBody();
  body.push("part");
  expect((await failure(transport.request(outbound({ method: "PUT", body })))).reason).toBe("reset");
  expect(upstream.connections).toHaveLength(1);
});

test("a fresh connection that dies is not tried again", async () => {
  using upstream = peer((connection) => connection.reset());
  const request = outbound();
  expect((await failure(http1({ port: upstream.port }).request(request))).reason).toBe("reset");
  expect(upstream.connections).toHaveLength(1);
});

test("a connection that dies in the middle of an answer is not tried again", async () => {
  using upstream = peer((connection) => {
    if (connection.received.split("\r\n\r\n").length === 2) connection.write(OK);
    else {
      connection.write("HTTP/1.1 2");
      connection.end();
    }
  });
  const transport = http1({ port: upstream.port });
  await textOf(await transport.request(outbound()));
  expect((await failure(transport.request(outbound()))).reason).toBe("reset");
  expect(upstream.connections).toHaveLength(1);
});
