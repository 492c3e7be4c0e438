import * as grpc from "@grpc/grpc-js";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createSecureServer,
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { Server, Socket } from "node:net";
import type { Speech } from "./policy-orders.ts";

/* Servers for connections that others have accepted, on Node: HTTP/1.1, HTTP/2, with TLS and without, and gRPC. */

/** A request, whatever it came in. */
export interface Asked {
  readonly method: string;
  /** The client's `x-id`. */
  readonly id: string;
  /** The port that its connection comes from. */
  readonly from: number;
  good(): void;
  /** 503, or UNAVAILABLE. */
  fail(retryAfter: string | undefined): void;
  /** Runs once it is over: answered, or its client gone. */
  whenOver(run: () => void): void;
}

export type HealthAnswer = "good" | "failing" | "redirect";

export interface Service {
  asked(request: Asked): void;
  /** @param say answers; a check that hangs is never answered. */
  checked(say: (answer: HealthAnswer) => void): void;
}

/** Takes a TCP connection over. */
export type Serve = (socket: Socket) => void;

export function server(
  speech: Speech,
  tls: { readonly cert: string; readonly key: string },
  service: Service,
): Serve {
  const keyPair = { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  const answer = (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): void => answerHttp(request, response as ServerResponse, service);
  // A connection ends when the gateway says so, not because it was idle.
  const open = { keepAliveTimeout: 0 };
  switch (speech) {
    case "http1":
      return served(createServer(open, answer));
    case "https1":
      return served(createHttpsServer({ ...open, ...keyPair }, answer));
    case "http2":
      return served(createHttp2Server(answer));
    case "https2":
      return served(createSecureServer(keyPair, answer));
    case "grpc":
      return calls(service);
  }
}

function served(http: Server): Serve {
  return (socket) => void http.emit("connection", socket);
}

/** Both kinds of response have what is used here. */
function answerHttp(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse,
  service: Service,
): void {
  const end = (status: number, headers: Record<string, string> = {}): void => {
    // Whoever was held may have lost its client.
    if (response.destroyed || response.writableEnded) return;
    response.writeHead(status, { "content-length": "2", ...headers });
    response.end("ok");
  };
  request.resume();
  if (request.url === "/elsewhere") end(200);
  else if (request.url === "/healthz")
    service.checked((as) => {
      if (as === "redirect") end(302, { location: "/elsewhere" });
      else end(as === "good" ? 200 : 503);
    });
  else
    service.asked({
      method: request.method ?? "",
      id: String(request.headers["x-id"]),
      from: request.socket.remotePort ?? 0,
      good: () => end(200),
      fail: (retryAfter) => end(503, retryAfter === undefined ? {} : { "retry-after": retryAfter }),
      whenOver: (run) => void response.once("close", run),
    });
}

type Call = grpc.ServerUnaryCall<Buffer, Buffer>;
type Done = grpc.sendUnaryData<Buffer>;

/** `HealthCheckResponse.ServingStatus` (grpc/doc/health-checking.md) in its message: field 1, a varint. */
const SERVING = Buffer.of(8, 1);
const NOT_SERVING = Buffer.of(8, 2);

function calls(service: Service): Serve {
  const rpc = new grpc.Server();
  rpc.addService(unary("/t.Echo/Unary"), { call: (call: Call, done: Done) => asked(call, done, service) });
  rpc.addService(unary("/grpc.health.v1.Health/Check"), {
    call: (_: Call, done: Done) =>
      service.checked((as) => {
        if (as === "redirect") done({ code: grpc.status.NOT_FOUND });
        else done(null, as === "good" ? SERVING : NOT_SERVING);
      }),
  });
  const injector = rpc.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  return (socket) => injector.injectConnection(socket);
}

function asked(call: Call, done: Done, service: Service): void {
  let whenOver: (() => void) | undefined;
  const over = (): void => {
    whenOver?.();
    whenOver = undefined;
  };
  call.on("cancelled", over);
  service.asked({
    method: "POST",
    id: String(call.metadata.get("x-id")[0]),
    from: Number(call.getPeer().split(":").at(-1)),
    good() {
      done(null, call.request);
      over();
    },
    fail(retryAfter) {
      const metadata = new grpc.Metadata();
      if (retryAfter !== undefined) metadata.set("retry-after", retryAfter);
      done({ code: grpc.status.UNAVAILABLE, details: "as it was told", metadata });
      over();
    },
    whenOver: (run) => void (whenOver = run),
  });
}

/** A method whose messages stay bytes. */
function unary(path: string): grpc.ServiceDefinition {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    call: {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  };
}
