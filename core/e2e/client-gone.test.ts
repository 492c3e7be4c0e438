import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as grpc from "@grpc/grpc-js";
import { RawClient, settled } from "../http1/test-server.ts";
import { DATA, HEADERS, RST_STREAM } from "../http2/frames.ts";
import { frame } from "../listener/h2-frames.ts";
import { awaitFrame, type Fields, headers, hello } from "../listener/test-h2-client.ts";
import { CaseTable } from "../testing/case-table.ts";
import { CANCEL, h2Peer, type H2PeerConnection, type SeenFrame } from "../upstream/test-h2-peer.ts";
import { peer, type PeerConnection } from "../upstream/test-kit.ts";
import { type Binary, type LogLine, startBinary } from "./binary.ts";
import { type EchoClient, echoClient } from "./grpc-echo.ts";
import { startNode } from "./node-process.ts";
import { startWsClient } from "./ws-peer.ts";

/*
 * A client that goes takes its upstream call along, on the compiled binary. What is measured is the time from its
 * going to the upstream's knowing: the end of its connection, or RST_STREAM(CANCEL) in HTTP/2. Each is the median
 * of some repeats: a machine under load may hold up one of them.
 */

/** Milliseconds. */
const AT_MOST = 100;
/** More bytes than the buffers between two programs hold. */
const LARGE = 64 << 20;
const REPEATS = 5;

const table = new CaseTable(
  `client gone: milliseconds until its upstream knows, median and worst of ${REPEATS}`,
  ...["client", "goes by", "while", "upstream", "median", "worst"],
);
const open = new AsyncDisposableStack();
let gateway: Binary;

// What the upstreams do with what they read; each case says it anew.
let answerHttp1: (connection: PeerConnection) => void = () => undefined;
let answerHttp2: (session: H2PeerConnection, seen: SeenFrame) => void = () => undefined;
const http1 = peer((connection) => answerHttp1(connection));
const http2 = h2Peer({ frame: (session, seen) => answerHttp2(session, seen) });

beforeAll(async () => {
  gateway = open.use(
    await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
upstreams:
  h1: { targets: ["http://127.0.0.1:${http1.port}"] }
  h2: { protocol: http2, targets: ["http://127.0.0.1:${http2.port}"] }
  grpc: { protocol: grpc, targets: ["http://127.0.0.1:${http2.port}"] }
routes:
  - { match: { path: /h1/* }, upstream: h1 }
  - { match: { path: /h2/* }, upstream: h2 }
  - { match: { path: /t.Echo/* }, upstream: grpc }
`),
  );
});
afterAll(async () => {
  await open.disposeAsync();
  http1[Symbol.dispose]();
  http2[Symbol.dispose]();
  process.stdout.write(String(table));
});

type Doing = "waits" | "download" | "upload" | "events";

/** The upstream's end of a call. */
interface Call {
  /** Settles when the upstream is told that nobody waits any more. */
  readonly over: Promise<unknown>;
}

const SSE = "content-type: text/event-stream\r\n";

/** The next call that reaches the HTTP/1.1 upstream, once its request is here and the answer, if any, has begun. */
function nextHttp1(doing: Doing): Promise<Call> {
  const { promise, resolve } = Promise.withResolvers<Call>();
  answerHttp1 = (connection) => {
    if (!connection.received.includes(doing === "upload" ? "piece" : "\r\n\r\n")) return;
    answerHttp1 = () => undefined;
    const fields = `transfer-encoding: chunked\r\n${doing === "events" ? SSE : ""}`;
    const event = doing === "events" ? "data: piece\n\n" : "piece";
    if (doing === "download" || doing === "events")
      connection.write(`HTTP/1.1 200 OK\r\n${fields}\r\n${event.length.toString(16)}\r\n${event}\r\n`);
    resolve({ over: connection.over });
  };
  return promise;
}

/** The same for the HTTP/2 upstream. @param message what it sends first */
function nextHttp2(doing: Doing, message = "piece", fields: Fields = []): Promise<Call> {
  const { promise, resolve } = Promise.withResolvers<Call>();
  answerHttp2 = (session, seen) => {
    if (seen.type !== (doing === "upload" ? DATA : HEADERS)) return;
    answerHttp2 = () => undefined;
    const { stream } = seen;
    if (doing === "download" || doing === "events") {
      session.head(stream, [[":status", "200"], ...fields]);
      session.data(stream, message);
    }
    resolve({ over: reset(session, stream) });
  };
  return promise;
}

async function reset(session: H2PeerConnection, stream: number): Promise<void> {
  const { payload } = await session.frame((seen) => seen.type === RST_STREAM && seen.stream === stream);
  expect(payload.readUInt32BE()).toBe(CANCEL);
}

/** A client whose request is under way. */
interface Client extends Partial<Disposable> {
  /** Settles once it has got the first piece of an answer. */
  piece(): Promise<unknown>;
  /** Makes it go. */
  go(): void;
}

const isBody = (doing: Doing): boolean => doing === "upload";

async function rawHttp1(path: string, doing: Doing): Promise<Client> {
  const chunked = "transfer-encoding: chunked\r\n\r\n5\r\npiece\r\n";
  const request = isBody(doing)
    ? `POST ${path} HTTP/1.1\r\nhost: a\r\n${chunked}`
    : `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;
  const client = await RawClient.connect(gateway.port, request);
  return { piece: () => client.until("piece"), go: () => client.reset() };
}

async function rawHttp2(path: string, doing: Doing, leave: (client: RawClient) => void): Promise<Client> {
  const fields = [
    [":method", isBody(doing) ? "POST" : "GET"],
    [":path", path],
    [":scheme", "http"],
    [":authority", "a.test"],
  ] as const;
  const body = isBody(doing) ? [frame(DATA, 0, 1, Buffer.from("piece"))] : [];
  const bytes = hello(headers(1, fields, isBody(doing)), ...body);
  const client = await RawClient.connect(gateway.port, bytes.toString("latin1"));
  return {
    piece: () => awaitFrame(client, ({ type }) => type === DATA),
    go: () => leave(client),
    [Symbol.dispose]: () => client.reset(),
  };
}

function curl(flag: string, path: string, doing: Doing): Client {
  const upload = isBody(doing) ? ["-T", "-"] : [];
  const child = Bun.spawn(["curl", "-sSN", flag, ...upload, `http://${gateway.listener()}${path}`], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  void child.stdin.write("piece");
  void child.stdin.flush();
  return {
    piece: async () => child.stdout.getReader().read(),
    go: () => child.kill("SIGKILL"),
  };
}

const resetStream = (client: RawClient): void =>
  void client.send(frame(RST_STREAM, 0, 1, Buffer.of(0, 0, 0, CANCEL)));

const CLIENTS: readonly (readonly [
  client: string,
  goes: string,
  start: (path: string, doing: Doing) => Client | Promise<Client>,
])[] = [
  ["HTTP/1.1", "reset", rawHttp1],
  ["HTTP/1.1", "curl killed", (path, doing) => curl("--http1.1", path, doing)],
  ["HTTP/2", "RST_STREAM", (path, doing) => rawHttp2(path, doing, resetStream)],
  ["HTTP/2", "reset", (path, doing) => rawHttp2(path, doing, (client) => client.reset())],
  ["HTTP/2", "curl killed", (path, doing) => curl("--http2-prior-knowledge", path, doing)],
];

const cases = CLIENTS.flatMap(([client, goes, start]) =>
  (["waits", "download", "upload", "events"] as const).flatMap((doing) =>
    (["h1", "h2"] as const).map((upstream) => [client, goes, doing, upstream, start] as const),
  ),
);

/** Requests that a client has left. */
let left = 0;

/** The time from `go` until `over`. */
async function measured(go: () => void, over: Promise<unknown>): Promise<number> {
  const begun = performance.now();
  go();
  await over;
  left++;
  return performance.now() - begun;
}

/** Repeats and judges. @param once answers milliseconds */
async function repeated(cells: readonly string[], once: () => Promise<number>): Promise<void> {
  const row = table.begin(...cells);
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) times.push(await once());
  times.sort((a, b) => a - b);
  const median = times[REPEATS >> 1]!;
  expect(median).toBeLessThan(AT_MOST);
  // One of them may meet a busy machine; none may wait for a timer.
  expect(times.at(-1)!).toBeLessThan(AT_MOST * 10);
  row.passed(median.toFixed(1), times.at(-1)!.toFixed(1));
}

test.each(cases)("%s: %s: %s: %s", async (client, goes, doing, upstream, start) => {
  await repeated([client, goes, doing, upstream], async () => {
    const next = upstream === "h1" ? nextHttp1(doing) : nextHttp2(doing);
    const running = await start(`/${upstream}/${doing}`, doing);
    const { over } = await next;
    if (doing === "download" || doing === "events") await running.piece();
    const ms = await measured(running.go, over);
    running[Symbol.dispose]?.();
    return ms;
  });
});

test("HTTP/1.1: a client that does not read goes in the middle of a large answer", async () => {
  await repeated(["HTTP/1.1", "reset", "download, held back", "h1"], async () => {
    const { promise, resolve } = Promise.withResolvers<PeerConnection>();
    answerHttp1 = (connection) => {
      answerHttp1 = () => undefined;
      connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${LARGE}\r\n\r\n`);
      connection.write(new Uint8Array(LARGE));
      resolve(connection);
    };
    const client = await RawClient.connect(gateway.port, "GET /h1/large HTTP/1.1\r\nhost: a\r\n\r\n");
    client.pause();
    const upstream = await promise;
    // Nobody on the way takes any more.
    await settled(() => upstream.unsent);
    expect(upstream.unsent).toBeGreaterThan(0);
    return measured(() => client.reset(), upstream.over);
  });
});

test("HTTP/1.1: a client goes in the middle of an upload that its upstream does not read", async () => {
  await repeated(["HTTP/1.1", "reset", "upload, held back", "h1"], async () => {
    const { promise, resolve } = Promise.withResolvers<PeerConnection>();
    answerHttp1 = (connection) => {
      answerHttp1 = () => undefined;
      connection.pause();
      resolve(connection);
    };
    const client = await RawClient.connect(
      gateway.port,
      `POST /h1/large HTTP/1.1\r\nhost: a\r\ncontent-length: ${LARGE}\r\n\r\n`,
    );
    let offered = 0;
    const piece = new Uint8Array(65_536);
    const offer = (): void => void (offered += Math.max(0, client.offer(piece)));
    offer();
    const upstream = await promise;
    await settled(() => offered, offer);
    expect(offered).toBeLessThan(LARGE);
    // What it has not read yet stands before the end, so it reads on; nothing of that is waited for.
    return measured(() => {
      client.reset();
      upstream.resume();
    }, upstream.over);
  });
});

const GRPC_HEAD = [["content-type", "application/grpc"]] as const;
/** `{ text: "x" }` with its prefix of five bytes. */
const MESSAGE = "\0\0\0\0\x03\n\x01x";

// The method, what its client does, and a call that is cancelled.
const CALLS: readonly (readonly [
  method: string,
  doing: Doing,
  start: (client: EchoClient) => grpc.ClientUnaryCall,
])[] = [
  ["Unary", "waits", (client) => client.Unary({ text: "hang" }, new grpc.Metadata(), {}, () => undefined)],
  ["ServerStream", "download", (client) => client.ServerStream({ text: "hang" })],
  [
    "ClientStream",
    "upload",
    (client) => {
      const call = client.ClientStream(() => undefined);
      call.write({ text: "piece" });
      return call;
    },
  ],
  [
    "Bidi",
    "download",
    (client) => {
      const call = client.Bidi();
      call.write({ text: "piece" });
      return call;
    },
  ],
];

describe.each(CALLS)("gRPC: %s", (method, doing, start) => {
  test("cancelled by grpc-js", async () => {
    const client = echoClient(gateway.listener());
    await repeated(["gRPC", "cancel", method, "grpc"], async () => {
      const next = nextHttp2(doing, MESSAGE, GRPC_HEAD);
      const call = start(client).on("error", () => undefined);
      const { over } = await next;
      if (doing === "download") await new Promise((resolve) => call.once("data", resolve));
      return measured(() => call.cancel(), over);
    });
    client.close();
  });

  test("its client killed", async () => {
    const clients = await Promise.all(Array.from({ length: REPEATS }, () => startNode("grpc-caller.ts")));
    await repeated(["gRPC", "killed", method, "grpc"], async () => {
      await using client = clients.pop()!;
      const next = nextHttp2(doing, MESSAGE, GRPC_HEAD);
      client.tell([gateway.listener(), method]);
      const { over } = await next;
      if (doing === "download") await client.next();
      return measured(() => void client.kill(), over);
    });
  });
});

/** The next WebSocket that the HTTP/1.1 upstream opens. */
function nextWebSocket(): Promise<Call> {
  const { promise, resolve } = Promise.withResolvers<Call>();
  answerHttp1 = (connection) => {
    answerHttp1 = () => undefined;
    const [, key] = /sec-websocket-key: (.*)\r\n/i.exec(connection.received)!;
    // RFC 6455 §4.2.2.
    const accept = new Bun.CryptoHasher("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    connection.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n` +
        `sec-websocket-accept: ${accept.digest("base64")}\r\n\r\n`,
    );
    // A connection that is another protocol's is closed by both sides, each for itself.
    resolve({ over: connection.over.then(() => connection.end()) });
  };
  return promise;
}

test("WebSocket: its socket destroyed", async () => {
  await repeated(["WebSocket", "reset", "open", "h1"], async () => {
    const next = nextWebSocket();
    const client = await RawClient.connect(
      gateway.port,
      "GET /h1/ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n" +
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    const { over } = await next;
    await client.until("\r\n\r\n");
    return measured(() => client.reset(), over);
  });
});

test("WebSocket: its client killed", async () => {
  await repeated(["WebSocket", "killed", "open", "h1"], async () => {
    const next = nextWebSocket();
    await using client = startWsClient(`ws://${gateway.listener()}/h1/ws`);
    const { over } = await next;
    await client.next("open");
    return measured(() => void client.kill(), over);
  });
});

test("the log says of each that it was the client who went", async () => {
  const isRequest = ({ msg }: LogLine): boolean => msg === "request";
  await gateway.line((line) => isRequest(line) && gateway.lines.filter(isRequest).length === left);
  for (const line of gateway.lines.filter(isRequest)) {
    if (line["status"] === 101) continue;
    expect(line).toMatchObject({ failed: "client", reason: "client.gone" });
  }
});
