import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ClientReadableStream, type ServiceError, status } from "@grpc/grpc-js";
import { RawClient } from "../http1/test-server.ts";
import {
  DATA,
  END_STREAM,
  HEADERS,
  INTERNAL_ERROR,
  NO_ERROR,
  REFUSED_STREAM,
  RST_STREAM,
} from "../http2/frames.ts";
import { awaitFrame, framesOf, get, headers, hello } from "../listener/test-h2-client.ts";
import { CaseTable } from "../testing/case-table.ts";
import {
  CANCEL,
  type Fields,
  h2Peer,
  type H2PeerConnection,
  type SeenFrame,
} from "../upstream/test-h2-peer.ts";
import { peer, type PeerConnection } from "../upstream/test-kit.ts";
import { type Binary, startBinary } from "./binary.ts";
import { echoClient, type Message } from "./grpc-echo.ts";
import { MessageReader } from "./message-reader.ts";
import { type NodeProcess, startNode } from "./node-process.ts";

/*
 * An upstream that dies in the middle of its answer, on the compiled binary: every client sees an answer that broke
 * off, none a complete one, and the log has the failure class.
 */

const table = new CaseTable(
  "upstream dies in its answer",
  "client",
  "upstream",
  "dies by",
  "client saw",
  "log",
);
const open = new AsyncDisposableStack();
let gateway: Binary;
let mortal: NodeProcess;

// What the upstreams do with what they read; each case says it anew.
let answerHttp1: (connection: PeerConnection) => void = () => undefined;
let answerHttp2: (session: H2PeerConnection, seen: SeenFrame) => void = () => undefined;
const http1 = peer((connection) => answerHttp1(connection));
const http2 = h2Peer({ frame: (session, seen) => answerHttp2(session, seen) });

beforeAll(async () => {
  mortal = open.use(await startNode("mortal-upstream.ts"));
  const ports = (await mortal.next()) as Record<"http1" | "http2" | "grpc", number>;
  gateway = open.use(
    await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
upstreams:
  h1: { targets: ["http://127.0.0.1:${http1.port}"] }
  h2: { protocol: http2, targets: ["http://127.0.0.1:${http2.port}"] }
  grpc: { protocol: grpc, targets: ["http://127.0.0.1:${http2.port}"] }
  mortal-h1: { targets: ["http://127.0.0.1:${ports.http1}"] }
  mortal-h2: { protocol: http2, targets: ["http://127.0.0.1:${ports.http2}"] }
  mortal-grpc: { protocol: grpc, targets: ["http://127.0.0.1:${ports.grpc}"] }
routes:
  - { match: { path: /h1/* }, upstream: h1 }
  - { match: { path: /h2/* }, upstream: h2 }
  - { match: { path: /mortal/h1/* }, upstream: mortal-h1 }
  - { match: { path: /mortal/h2/* }, upstream: mortal-h2 }
  - { match: { path: /t.Echo/Bidi }, upstream: grpc }
  - { match: { path: /t.Echo/ServerStream }, upstream: mortal-grpc }
`),
  );
});
afterAll(async () => {
  await open.disposeAsync();
  http1[Symbol.dispose]();
  http2[Symbol.dispose]();
  process.stdout.write(String(table));
});

/** A client in the middle of an answer. */
interface Client {
  /** Settles once the first piece of the answer is here. */
  piece(): Promise<unknown>;
  /** How the answer ended for it; rejects if it ended well. */
  end(): Promise<string>;
}

async function rawHttp1(path: string): Promise<Client> {
  const client = await RawClient.connect(gateway.port, `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`);
  return {
    piece: () => client.until("piece"),
    async end() {
      // It is kept alive, so nothing but a broken answer ends it.
      const bytes = Buffer.from(await client.ended(), "latin1");
      const seen: string[] = [];
      const reader = new MessageReader(
        ({ complete, body }) => seen.push(`${complete ? "whole" : "cut off"} after ${body.byteLength} bytes`),
        () => true,
        true,
      );
      reader.feed(bytes);
      reader.end();
      expect(bytes.toString("latin1")).toStartWith("HTTP/1.1 200 ");
      expect(seen).toEqual([expect.stringContaining("cut off")]);
      return seen[0]!;
    },
  };
}

async function rawHttp2(path: string): Promise<Client> {
  const client = await RawClient.connect(gateway.port, hello(headers(1, get([], path))).toString("latin1"));
  return {
    piece: () => awaitFrame(client, ({ type }) => type === DATA),
    async end() {
      const { payload } = await awaitFrame(client, ({ type }) => type === RST_STREAM);
      const carried = framesOf(client).filter(({ stream, type }) => stream === 1 && type <= HEADERS);
      expect(carried.map(({ flags }) => flags & END_STREAM)).not.toContain(END_STREAM);
      client.reset();
      return `RST_STREAM ${payload.readUInt32BE()}`;
    },
  };
}

function curl(flag: string): (path: string) => Client {
  return (path) => {
    const child = Bun.spawn(["curl", "-sN", flag, `http://${gateway.listener()}${path}`], { stdout: "pipe" });
    const reader = child.stdout.getReader();
    return {
      piece: () => reader.read(),
      async end() {
        const code = await child.exited;
        expect(code).not.toBe(0);
        return `exit code ${code}`;
      },
    };
  };
}

/** A call of grpc-js that has got its first message. */
function grpcCall(method: "Bidi" | "ServerStream"): Client {
  const client = echoClient(gateway.listener());
  const call: ClientReadableStream<Message> =
    method === "Bidi" ? client.Bidi() : client.ServerStream({ text: "hang", number: "1" });
  const failed = new Promise<ServiceError>((resolve, reject) => {
    call.once("error", resolve).once("end", () => reject(new Error("it ended well")));
  });
  failed.catch(() => undefined);
  return {
    piece: () => new Promise((resolve) => call.once("data", resolve)),
    async end() {
      const { code } = await failed;
      expect(code).toBe(status.UNAVAILABLE);
      client.close();
      return `status ${code}`;
    },
  };
}

const CLIENTS: readonly (readonly [name: string, start: (path: string) => Client | Promise<Client>])[] = [
  ["HTTP/1.1", rawHttp1],
  ["HTTP/2", rawHttp2],
  ["curl HTTP/1.1", curl("--http1.1")],
  ["curl HTTP/2", curl("--http2-prior-knowledge")],
];

interface Case {
  /** What the table says of the upstream. */
  readonly upstream: string;
  readonly dies: string;
  readonly path: string;
  /** The failure class. */
  readonly reason: string;
  /** @default all of HTTP */
  readonly clients?: typeof CLIENTS;
}

/** Runs every client of every case into the middle of its answer; then `die`, and looks at what they saw. */
async function witness(cases: readonly Case[], die: () => unknown): Promise<void> {
  const from = gateway.lines.length;
  const calls = cases.flatMap((one) =>
    (one.clients ?? CLIENTS).map(([name, start], i) => {
      const target = one.clients === undefined ? `${one.path}/${i}` : one.path;
      return { one, name, start, target, row: table.begin(name, one.upstream, one.dies) };
    }),
  );
  const clients = await Promise.all(calls.map(async ({ start, target }) => start(target)));
  await Promise.all(clients.map((client) => client.piece()));
  await die();
  const ends = await Promise.all(clients.map((client) => client.end()));
  for (const [i, { one, target, row }] of calls.entries()) {
    const line = await gateway.line(
      ({ msg, ...rest }) => msg === "request" && rest["target"] === target,
      from,
    );
    expect(line).toMatchObject({ status: 200, failed: "upstream", reason: one.reason });
    // gRPC has a word for it, which makes the answer whole; everybody else sees it break off.
    expect(line).toMatchObject(line["protocol"] === "grpc" ? { grpc_status: 14 } : { complete: false });
    row.passed(ends[i]!, `upstream, ${one.reason}`);
  }
}

const CHUNKED = "transfer-encoding: chunked\r\n\r\n5\r\npiece\r\n";
const LENGTH = "content-length: 10\r\n\r\npiece";
const EVENTS = `content-type: text/event-stream\r\n${CHUNKED}`;
const close = (connection: PeerConnection): void => connection.end();
const abort = (connection: PeerConnection): void => connection.reset();

test.each<
  [body: string, dies: string, answer: string, die: (connection: PeerConnection) => void, reason: string]
>([
  ["Content-Length", "FIN", LENGTH, close, "reset"],
  ["Content-Length", "reset", LENGTH, abort, "reset"],
  ["chunked", "FIN", CHUNKED, close, "reset"],
  ["chunked", "reset", CHUNKED, abort, "reset"],
  ["chunked, in a chunk", "FIN", CHUNKED.slice(0, -2), close, "reset"],
  [
    "chunked, before the last line",
    "FIN",
    CHUNKED,
    (connection) => (connection.write("0\r\n"), close(connection)),
    "reset",
  ],
  ["chunked", "a broken chunk", CHUNKED, (connection) => connection.write("zz\r\n"), "protocol"],
  ["no length", "reset", "\r\npiece", abort, "reset"],
  ["events", "FIN", EVENTS, close, "reset"],
  ["events", "reset", EVENTS, abort, "reset"],
])("HTTP/1.1: %s: %s", async (body, dies, answer, die, reason) => {
  const begun: PeerConnection[] = [];
  answerHttp1 = (connection) => {
    begun.push(connection);
    connection.write(`HTTP/1.1 200 OK\r\n${answer}`);
  };
  const path = `/h1/${body}-${dies}`.replaceAll(/[ ,]+/g, "-");
  await witness([{ upstream: `HTTP/1.1, ${body}`, dies, path, reason }], () => begun.forEach(die));
});

type Death = (session: H2PeerConnection, stream: number) => void;
const resets =
  (code: number): Death =>
  (session, stream) =>
    session.resetStream(stream, code);
const gone: Death = (session) => session.raw.reset();
const TEN: Fields = [["content-length", "10"]];

const HTTP2_DEATHS: readonly (readonly [
  body: string,
  dies: string,
  fields: Fields,
  die: Death,
  reason: string,
])[] = [
  ["Content-Length", "RST_STREAM 2", TEN, resets(INTERNAL_ERROR), "reset"],
  ["Content-Length", "END_STREAM", TEN, (session, stream) => session.data(stream, "", true), "protocol"],
  ["Content-Length", "connection reset", TEN, gone, "reset"],
  ["no length", "RST_STREAM 2", [], resets(INTERNAL_ERROR), "reset"],
  ["no length", "RST_STREAM 0", [], resets(NO_ERROR), "reset"],
  ["no length", "RST_STREAM 8", [], resets(CANCEL), "reset"],
  ["no length", "RST_STREAM 7", [], resets(REFUSED_STREAM), "reset"],
  ["no length", "FIN", [], (session) => session.raw.end(), "reset"],
  // Streams above the last one were not processed (RFC 9113 §6.8), says who has answered them.
  ["no length", "GOAWAY 0", [], (session) => session.goaway(0), "reset"],
  ["no length", "connection reset", [], gone, "reset"],
  ["events", "RST_STREAM 2", [["content-type", "text/event-stream"]], resets(INTERNAL_ERROR), "reset"],
];

/** Answers every stream with a head and a piece; the streams that it answered. */
function beginHttp2(fields: Fields, piece: string): (readonly [session: H2PeerConnection, stream: number])[] {
  const begun: (readonly [session: H2PeerConnection, stream: number])[] = [];
  answerHttp2 = (session, { type, stream }) => {
    if (type !== HEADERS) return;
    begun.push([session, stream]);
    session.head(stream, [[":status", "200"], ...fields]);
    session.data(stream, piece);
  };
  return begun;
}

test.each(HTTP2_DEATHS)("HTTP/2: %s: %s", async (body, dies, fields, die, reason) => {
  const begun = beginHttp2(fields, "piece");
  const path = `/h2/${body}-${dies}`.replaceAll(/[ ,]+/g, "-");
  await witness([{ upstream: `HTTP/2, ${body}`, dies, path, reason }], () =>
    begun.forEach(([session, stream]) => die(session, stream)),
  );
});

describe("gRPC", () => {
  const clients = [["grpc-js", () => grpcCall("Bidi")]] as const;
  test.each<[dies: string, die: Death]>([
    ["RST_STREAM 2", resets(INTERNAL_ERROR)],
    ["RST_STREAM 0", resets(NO_ERROR)],
    ["connection reset", gone],
  ])("%s", async (dies, die) => {
    const begun = beginHttp2([["content-type", "application/grpc"]], "\0\0\0\0\x03\n\x01x");
    await witness([{ upstream: "gRPC stream", dies, path: "/t.Echo/Bidi", reason: "reset", clients }], () =>
      begun.forEach(([session, stream]) => die(session, stream)),
    );
  });
});

test("upstreams on Node, killed", async () => {
  const cases = ["h1/length", "h1/chunked", "h1/events", "h2/length", "h2/open", "h2/events"].map((path) => ({
    upstream: `Node, ${path.replace("h1/", "HTTP/1.1, ").replace("h2/", "HTTP/2, ")}`,
    ...{ dies: "killed", path: `/mortal/${path}`, reason: "reset" },
  }));
  const rpc = {
    ...{ upstream: "grpc-js on Node", dies: "killed", path: "/t.Echo/ServerStream", reason: "reset" },
    clients: [["grpc-js", () => grpcCall("ServerStream")]] as const,
  };
  await witness([...cases, rpc], () => mortal.kill());
});
