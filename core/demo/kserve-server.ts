import {
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { CallError, METHODS } from "./kserve-model.ts";
import { type DemoServer, MAX_BODY } from "./serve.ts";

const UNKNOWN = 2;
const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;

/** Serves the pretend inference server over gRPC, in clear text with prior knowledge. */
export async function serveKserve(): Promise<DemoServer> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    // A peer that breaks off is no news here.
    session.on("error", () => session.destroy());
  });
  server.on("stream", take);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

/** Reads one call and answers it; a caller that leaves takes its call along. */
function take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const pieces: Uint8Array[] = [];
  let size = 0;
  stream.on("error", () => stream.destroy());
  stream.on("data", (piece: Uint8Array) => {
    size += piece.byteLength;
    if (size <= MAX_BODY) pieces.push(piece);
  });
  stream.on("end", () => {
    if (stream.destroyed) return;
    if (!/^application\/grpc(\+proto)?($|;)/.test(headers["content-type"] ?? "")) {
      // gRPC over HTTP/2: a content-type that does not begin with "application/grpc" gets 415.
      stream.respond({ ":status": 415 }, { endStream: true });
      return;
    }
    try {
      if (size > MAX_BODY)
        throw new CallError(RESOURCE_EXHAUSTED, `the message is larger than ${MAX_BODY} bytes`);
      answer(stream, call(headers[":path"] ?? "", Buffer.concat(pieces)));
    } catch (error) {
      fail(stream, error instanceof CallError ? error : new CallError(UNKNOWN, "the call failed"));
    }
  });
}

function call(path: string, body: Uint8Array): Uint8Array {
  const method = METHODS.get(path);
  if (method === undefined) throw new CallError(UNIMPLEMENTED, `unknown method ${path}`);
  const message = unwrapped(body);
  try {
    return method(message);
  } catch (error) {
    if (error instanceof CallError) throw error;
    throw new CallError(INVALID_ARGUMENT, "the message is no valid protobuf");
  }
}

/** The one message in its envelope: a flag byte, four bytes of length, the message. */
function unwrapped(body: Uint8Array): Uint8Array {
  if (body[0] === 1) throw new CallError(UNIMPLEMENTED, "compressed messages are not taken");
  const length = body.byteLength < 5 ? -1 : new DataView(body.buffer, body.byteOffset).getUint32(1);
  if (body[0] !== 0 || length !== body.byteLength - 5) {
    throw new CallError(INVALID_ARGUMENT, "the body is not one gRPC message");
  }
  return body.subarray(5);
}

function answer(stream: ServerHttp2Stream, message: Uint8Array): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(envelope(message));
}

/** A message with the five bytes that gRPC puts before it. */
export function envelope(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const framed = new Uint8Array(5 + message.byteLength);
  new DataView(framed.buffer).setUint32(1, message.byteLength);
  framed.set(message, 5);
  return framed;
}

/** Trailers-Only: the status stands in the head and there is no body. */
function fail(stream: ServerHttp2Stream, { status, message }: CallError): void {
  const head = {
    ":status": 200,
    "content-type": "application/grpc",
    "grpc-status": String(status),
    // Percent-encoded outside of printable ASCII.
    "grpc-message": message.replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent),
  };
  stream.respond(head, { endStream: true });
}
