import { expect, test } from "bun:test";
import fc from "fast-check";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BytesBody, HeaderList } from "sluice/plugin";
import { createFakeClock, createMemoryLog } from "sluice/testing";
import { eventually, LIMITS, RawClient } from "../http1/test-server.ts";
import { GOAWAY, HEADERS, HTTP_1_1_REQUIRED } from "../http2/frames.ts";
import type { Inbound } from "./inbound.ts";
import { openListener } from "./listener.ts";
import { awaitFrame, get, headers, hello } from "./test-h2-client.ts";
import { failure, GET, PROXY_V2, tellFacts, testListener, toldFacts } from "./test-listener.ts";

function temporaryDir(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "sluice-unix-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** Has a process listen on a unix socket and die without a word. */
async function leaveSocketFile(path: string): Promise<void> {
  const listen = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } }); console.log("up")`;
  const dying = Bun.spawn([process.execPath, "-e", listen], { stdout: "pipe", stderr: "ignore" });
  await dying.stdout.getReader().read();
  dying.kill("SIGKILL");
  await dying.exited;
}

/** Sends bytes in two pieces, the second once the first was surely read. */
async function sendCut(client: RawClient, bytes: Uint8Array, at: number): Promise<void> {
  await client.send(bytes.subarray(0, at));
  await Bun.sleep(1);
  await client.send(bytes.subarray(at));
}

test("HTTP/1.1 and HTTP/2 share a port, wherever the first bytes are cut", async () => {
  using served = await testListener(tellFacts);
  const http2 = hello(headers(1, get()));
  for (let at = 1; at <= 24; at++) {
    const old = await served.connect();
    await sendCut(old, Buffer.from(GET), at);
    expect(toldFacts(await old.ended()).httpVersion).toBe("1.1");
    const modern = await served.connect();
    await sendCut(modern, http2, at);
    await awaitFrame(modern, (frame) => frame.type === HEADERS && frame.stream === 1);
    modern.reset();
  }
});

test("a method that begins like the preface is HTTP/1.1", async () => {
  using served = await testListener(tellFacts);
  for (const method of ["PRI", "PROPFIND", "P"]) {
    const client = await served.connect(`${method} / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n`);
    expect(await client.ended()).toStartWith("HTTP/1.1 200 ");
  }
});

test("the facts are the sockets'", async () => {
  using served = await testListener(tellFacts);
  const client = await served.connect(GET);
  const { connection, scheme } = toldFacts(await client.ended());
  expect(scheme).toBe("http");
  expect(connection).toMatchObject({ socketAddress: "127.0.0.1", peerAddress: "127.0.0.1" });
  expect(connection.peerPort).toBeGreaterThan(0);
  expect(connection).toMatchObject({ localAddress: "127.0.0.1", localPort: served.port });
  expect(served.listener.address).toBe(`127.0.0.1:${served.port}`);
});

test("a PROXY header is believed from a trusted peer, at every cut, in both versions", async () => {
  const trusts = (address: string): boolean => address === "127.0.0.1";
  using served = await testListener(tellFacts, { proxyProtocol: true, trusts });
  const v1 = Buffer.from("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n");
  for (const header of [v1, PROXY_V2]) {
    const bytes = Buffer.concat([header, Buffer.from(GET)]);
    for (let at = 1; at <= header.byteLength + 1; at++) {
      const client = await served.connect();
      await sendCut(client, bytes, at);
      expect(toldFacts(await client.ended()).connection).toMatchObject({
        ...{ peerAddress: "203.0.113.7", peerPort: 4711, localAddress: "198.51.100.1", localPort: 443 },
        socketAddress: "127.0.0.1",
      });
    }
  }
});

test("a PROXY header and an HTTP/2 request may come in any pieces", async () => {
  using served = await testListener(tellFacts, { proxyProtocol: true, trusts: () => true });
  const bytes = Buffer.concat([PROXY_V2, hello(headers(1, get()))]);
  const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(sizes, async (cuts) => {
      const client = await served.connect();
      for (let at = 0, i = 0; at < bytes.byteLength; i++) {
        const size = cuts[i % cuts.length]!;
        await client.send(bytes.subarray(at, at + size));
        at += size;
      }
      await awaitFrame(client, (frame) => frame.type === HEADERS && frame.stream === 1);
      client.reset();
    }),
    { numRuns: 20 },
  );
});

test("LOCAL and UNKNOWN keep the socket's addresses", async () => {
  using served = await testListener(tellFacts, { proxyProtocol: true, trusts: () => true });
  const local = Buffer.concat([PROXY_V2.subarray(0, 12), Buffer.of(0x20, 0, 0, 0)]).toString("latin1");
  for (const header of [local, "PROXY UNKNOWN\r\n"]) {
    const client = await served.connect(header + GET);
    expect(toldFacts(await client.ended()).connection.peerAddress).toBe("127.0.0.1");
  }
});

test("where a PROXY header is expected, nothing is served without one, and none of a stranger's", async () => {
  using served = await testListener(tellFacts, { proxyProtocol: true, trusts: () => true });
  for (const bytes of [GET, "PROXY TCP4 nonsense\r\n", PROXY_V2.subarray(0, 12).toString("latin1") + GET]) {
    const client = await served.connect(bytes);
    expect(await client.ended()).toBe("");
  }
  expect(served.events).toEqual(["proxy_header", "proxy_header", "proxy_header"]);
  served.listener.update({ trusts: () => false });
  const stranger = await served.connect(PROXY_V2.toString("latin1") + GET);
  expect(await stranger.ended()).toBe("");
  expect(served.events.at(-1)).toBe("proxy_untrusted");
  // A loop of bad connections is one line, not one each.
  expect(served.log.lines).toHaveLength(2);
});

test("a PROXY header where none is expected is a malformed request", async () => {
  using served = await testListener(tellFacts);
  const client = await served.connect("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n" + GET);
  expect(await client.ended()).toStartWith("HTTP/1.1 400 ");
});

test("connections above the limits are closed at once", async () => {
  using served = await testListener(tellFacts, { limits: { connections: 3, connectionsPerAddress: 2 } });
  const first = await served.connect();
  const second = await served.connect();
  const third = await served.connect();
  expect(await third.ended()).toBe("");
  expect(served.events).toEqual(["connections_per_address"]);
  await eventually(() => served.listener.connections === 2);

  served.listener.update({ limits: { ...LIMITS, connections: 2 } });
  expect(await (await served.connect()).ended()).toBe("");
  expect(served.events).toEqual(["connections_per_address", "connections"]);
  first.reset();
  await eventually(() => served.listener.connections === 1);
  expect(await (await served.connect(GET)).ended()).toStartWith("HTTP/1.1 200 ");
  second.reset();
});

test("the limit of an address counts the client's behind a proxy", async () => {
  const limits = { connectionsPerAddress: 1 };
  using served = await testListener(tellFacts, { proxyProtocol: true, trusts: () => true, limits });
  const from = (address: string): string => `PROXY TCP4 ${address} 198.51.100.1 4711 443\r\n`;
  const first = await served.connect(from("203.0.113.1"));
  const second = await served.connect(from("203.0.113.2") + GET);
  expect(await second.ended()).toStartWith("HTTP/1.1 200 ");
  const third = await served.connect(from("203.0.113.1") + GET);
  expect(await third.ended()).toBe("");
  expect(served.events).toEqual(["connections_per_address"]);
  first.reset();
});

test("a connection that does not show what it is gets closed", async () => {
  using served = await testListener(tellFacts, { limits: { headerTimeout: 1000 } });
  const silent = await served.connect();
  const slow = await served.connect("PRI * HT");
  await served.clock.advance(900);
  expect(served.listener.connections).toBe(2);
  await served.clock.advance(400);
  expect(await silent.ended()).toBe("");
  expect(await slow.ended()).toBe("");
  expect(served.events).toEqual(["timeout"]);
  await eventually(() => served.listener.connections === 0);
  expect(served.clock.pending).toBe(0);
});

test("a protocol that is not among the listener's is refused in its own words", async () => {
  using served = await testListener(tellFacts, { protocols: ["http1"] });
  const modern = await served.connect(hello(headers(1, get())).toString("latin1"));
  const goaway = await awaitFrame(modern, (frame) => frame.type === GOAWAY);
  expect(goaway.payload.readUInt32BE(4)).toBe(HTTP_1_1_REQUIRED);
  modern.finish();
  await modern.ended();

  served.listener.update({ protocols: ["http2"] });
  const old = await served.connect(GET);
  await old.until("http_version_not_supported");
  expect(old.received).toStartWith("HTTP/1.1 505 ");
  old.finish();
  await old.ended();
  expect(served.events).toEqual(["protocol", "protocol"]);
  expect(served.rejections.map((rejection) => rejection.code)).toEqual(["http_version_not_supported"]);
});

test("the kernel probes clients that are silent", async () => {
  using served = await testListener(tellFacts);
  const client = await served.connect();
  await eventually(() => served.listener.connections === 1);
  // "sl local_address rem_address st queues tr:when …": an established connection (01) with the keepalive timer (02).
  const local = `0100007F:${served.port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "latin1").split("\n");
  const row = rows
    .map((line) => line.trim().split(/\s+/))
    .find((cells) => cells[1] === local && cells[3] === "01");
  expect(row?.[5]).toStartWith("02:");
  client.reset();
});

test("drain: nothing new is accepted, what runs is finished, what is idle is closed", async () => {
  const waiting: Inbound[] = [];
  using served = await testListener((inbound) => waiting.push(inbound));
  const silent = await served.connect();
  const running = await served.connect("GET /slow HTTP/1.1\r\nhost: a.test\r\n\r\n");
  const modern = connectHttp2(`http://127.0.0.1:${served.port}`);
  const stream = modern.request({ ":path": "/slow" });
  await eventually(() => waiting.length === 2);
  const goaway = new Promise<number>((resolve) => modern.once("goaway", resolve));
  served.listener.drain();
  expect(await silent.ended()).toBe("");
  expect(await goaway).toBe(0);
  expect(await failure(RawClient.connect(served.port))).not.toBe("");
  const status = new Promise((resolve) => stream.once("response", (fields) => resolve(fields[":status"])));
  const closed = new Promise((resolve) => modern.once("close", resolve));
  for (const inbound of waiting)
    void inbound.respond(200, new HeaderList(), new BytesBody(Buffer.from("ok")));
  stream.resume();
  expect(await status).toBe(200);
  await closed;
  expect(await running.ended()).toContain("connection: close");
  running.finish();
  await eventually(() => served.listener.connections === 0);
});

test("close cuts what is left", async () => {
  const gone: string[] = [];
  using served = await testListener((inbound) => {
    inbound.onGone = (error) => gone.push(`${inbound.httpVersion} ${error.code}`);
  });
  const old = await served.connect("GET /slow HTTP/1.1\r\nhost: a.test\r\n\r\n");
  const modern = await served.connect(hello(headers(1, get())).toString("latin1"));
  await eventually(() => served.listener.connections === 2);
  await modern.until(() => modern.received.length > 0);
  served.listener.close();
  await old.ended();
  await modern.ended();
  await eventually(() => served.listener.connections === 0 && gone.length === 2);
  expect(gone.toSorted()).toEqual(["1.1 draining", "2 draining"]);
});

test("IPv6, and IPv4 that comes over it", async () => {
  using served = await testListener(tellFacts, { address: { kind: "tcp", host: "::", port: 0 } });
  expect(served.listener.address).toBe(`[::]:${served.port}`);
  const told: string[] = [];
  for (const hostname of ["::1", "127.0.0.1"]) {
    const answer = await fetch(`http://${hostname === "::1" ? "[::1]" : hostname}:${served.port}/`);
    const { connection } = (await answer.json()) as Inbound;
    told.push(connection.peerAddress, connection.localAddress);
  }
  expect(told).toEqual(["::1", "::1", "127.0.0.1", "127.0.0.1"]);
});

test("a unix socket: stale files are replaced, live ones and other files are not, ours is removed", async () => {
  using dir = temporaryDir();
  const path = join(dir.path, "gateway.sock");
  await leaveSocketFile(path);
  expect(existsSync(path)).toBe(true);
  const address = { kind: "unix", path } as const;
  {
    using served = await testListener(tellFacts, { address });
    expect(served.listener.address).toBe(`unix:${path}`);
    const answer = await fetch("http://a.test/", { unix: path });
    const { connection } = (await answer.json()) as Inbound;
    expect(connection).toMatchObject({ socketAddress: "unix", peerAddress: "unix", localAddress: "unix" });
    expect(await failure(testListener(tellFacts, { address }))).toContain(
      `address unix:${path} is already in use`,
    );
    expect((await fetch("http://a.test/", { unix: path })).status).toBe(200);
  }
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, "precious");
  expect(await failure(testListener(tellFacts, { address }))).toContain(
    "a file that is no socket is in its place",
  );
  expect(existsSync(path)).toBe(true);
});

test("an address that cannot be listened on is named in one line", async () => {
  using served = await testListener(tellFacts);
  const open = (host: string, port: number): Promise<unknown> =>
    openListener({
      address: { kind: "tcp", host, port },
      ...{ protocols: ["http1"], tls: undefined, proxyProtocol: false, limits: LIMITS },
      trusts: () => false,
      handler: { handle() {}, rejected: () => ({ headers: new HeaderList(), body: new Uint8Array(0) }) },
      clock: createFakeClock(),
      log: createMemoryLog(),
    });
  const taken = `127.0.0.1:${served.port}`;
  expect(await failure(open("127.0.0.1", served.port))).toContain(`address ${taken} is already in use`);
  expect(await failure(open("203.0.113.1", 0))).toContain(
    "address 203.0.113.1:0 does not belong to this machine",
  );
  expect(await failure(open("no.such.host.invalid", 0))).toContain("the host name is unknown");
  const unix = { kind: "unix", path: "/no/such/dir/x.sock" } as const;
  expect(await failure(testListener(tellFacts, { address: unix }))).toContain("its directory does not exist");
});
