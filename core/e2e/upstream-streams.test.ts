import { afterAll, beforeAll, expect, test } from "bun:test";
import { RawClient } from "../http1/test-server.ts";
import { peer, type PeerConnection } from "../upstream/test-kit.ts";
import { type Binary, startBinary } from "./binary.ts";
import { echoClient, type EchoServer, type Message, startEchoServer } from "./grpc-echo.ts";

/*
 * What streams, through every policy of an upstream, on the compiled binary: a policy neither gathers nor delays what
 * passes, and a place is held until the stream is over.
 */

const POLICIES = [
  "limits: { requests: 2, queue: 0 }",
  "bulkhead: { concurrency: 2 }",
  "circuit_breaker: { consecutive_failures: 5 }",
  "outlier: {}",
  "retries: { attempts: 3, methods: [GET, POST, PUT] }",
].join(", ");

let gateway: Binary;
let echo: EchoServer;
let said: (connection: PeerConnection) => void = () => undefined;
const raw = peer((connection) => said(connection));

beforeAll(async () => {
  echo = await startEchoServer();
  gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
upstreams:
  grpc: { protocol: grpc, targets: ["http://127.0.0.1:${echo.port}"], ${POLICIES}, hedge: { after: 5ms, methods: [POST] } }
  raw: { targets: ["http://127.0.0.1:${raw.port}"], ${POLICIES}, hedge: { after: 5s, methods: [GET, PUT] } }
routes:
  - { match: { path: /t.Echo/* }, upstream: grpc }
  - { match: { path: /* }, upstream: raw }
`);
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await echo[Symbol.asyncDispose]();
  raw[Symbol.dispose]();
});

interface View {
  readonly name: string;
  readonly bulkhead: { readonly active: number };
  readonly targets: readonly { readonly in_flight: number }[];
}

/** Once so many requests of an upstream are under way. */
async function underWay(name: string, count: number): Promise<void> {
  for (;;) {
    const { upstreams } = (await (await fetch(`${gateway.admin}/upstreams`)).json()) as { upstreams: View[] };
    const { bulkhead, targets } = upstreams.find((one) => one.name === name)!;
    if (bulkhead.active === count && targets[0]?.in_flight === count) return;
  }
}

test("gRPC messages, one for one, both ways", async () => {
  const client = echoClient(gateway.listener());
  const call = client.Bidi();
  for (let i = 0; i < 20; i++) {
    const answer = new Promise<Message>((resolve) => call.once("data", resolve));
    call.write({ text: `${i}` });
    expect((await answer).text).toBe(`${i}`);
  }
  await underWay("grpc", 1);
  const ended = new Promise((resolve) => call.once("end", resolve));
  call.end();
  await ended;
  await underWay("grpc", 0);
  client.close();
});

test("events, as they come", async () => {
  let upstream: PeerConnection | undefined;
  said = (connection) => {
    upstream = connection;
    connection.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
  };
  const client = await RawClient.connect(gateway.port, "GET /events HTTP/1.1\r\nhost: a\r\n\r\n");
  await client.until("data: 1\n\n");
  for (let i = 2; i < 10; i++) {
    upstream?.write(`data: ${i}\n\n`);
    await client.until(`data: ${i}\n\n`);
  }
  await underWay("raw", 1);
  upstream?.end();
  await underWay("raw", 0);
  client.reset();
});

test("an upgrade holds its place until it is over", async () => {
  const UPGRADE = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
  said = (connection) => {
    if (!connection.received.endsWith("\r\n\r\n")) connection.write("pong");
    else connection.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
  };
  const clients = [
    await RawClient.connect(gateway.port, UPGRADE),
    await RawClient.connect(gateway.port, UPGRADE),
  ];
  for (const client of clients) {
    await client.until("\r\n\r\n");
    await client.send("ping");
    await client.until("pong");
  }
  await underWay("raw", 2);
  // No place is left.
  const third = await RawClient.connect(gateway.port, UPGRADE);
  await third.until("503 Service Unavailable");
  third.reset();
  for (const client of clients) client.reset();
  await underWay("raw", 0);
});

test("a large upload comes to its end", async () => {
  const SIZE = 16 << 20;
  let read = 0;
  said = (connection) => {
    read = connection.received.length;
    if (read > SIZE) connection.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  };
  const client = await RawClient.connect(
    gateway.port,
    `PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: ${SIZE}\r\n\r\n`,
  );
  await client.send(new Uint8Array(SIZE).fill(97));
  await client.until("200 OK");
  expect(read).toBeGreaterThan(SIZE);
  client.reset();
  await underWay("raw", 0);
});
