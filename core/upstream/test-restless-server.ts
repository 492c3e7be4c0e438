import * as grpc from "@grpc/grpc-js";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";

/*
 * HTTP/2 servers, to be run on Node, that send GOAWAY every so often. The first argument says how; it tells its port.
 * Each answers with what it was sent.
 */

const mode = process.argv[2];
const REQUESTS = 100;
/** How a session comes to its end when its request `REQUESTS` is there. */
const ENDINGS: Readonly<Record<string, (session: ServerHttp2Session, stream: ServerHttp2Stream) => void>> = {
  /** Names the last stream and closes. Not in the middle of an event: Node 20 then corrupts its memory at times. */
  close: (session) => void setImmediate(() => session.close()),
  /** Names the last stream, and takes its time. */
  goaway(session, stream) {
    session.goaway(0, stream.id);
    setImmediate(() => session.close());
  },
};

function tell(port: number): void {
  process.stdout.write(`${port}\n`);
}

function serveHttp(end: (session: ServerHttp2Session, stream: ServerHttp2Stream) => void): void {
  const server = createServer();
  const counts = new WeakMap<ServerHttp2Session, number>();
  server.on("session", (session) => void session.on("error", () => {}));
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    const session = stream.session as ServerHttp2Session;
    const count = (counts.get(session) ?? 0) + 1;
    counts.set(session, count);
    if (count === REQUESTS) end(session, stream);
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      if (stream.destroyed) return;
      stream.respond({ ":status": 200 });
      stream.end(Buffer.concat(chunks));
    });
  });
  server.listen(0, "127.0.0.1", () => tell((server.address() as AddressInfo).port));
}

function serveGrpc(): void {
  const server = new grpc.Server({
    "grpc.max_connection_age_ms": 50,
    "grpc.max_connection_age_grace_ms": 5_000,
  });
  const same = (bytes: Buffer): Buffer => bytes;
  const codec = {
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  server.addService(
    { Unary: { path: "/t.Echo/Unary", requestStream: false, responseStream: false, ...codec } },
    {
      Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
        done(null, call.request),
    },
  );
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_error, port) => tell(port));
}

const ending = ENDINGS[mode ?? ""];
if (ending === undefined) serveGrpc();
else serveHttp(ending);
