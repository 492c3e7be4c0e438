import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { startEchoServer } from "./grpc-echo.ts";

/*
 * Upstreams that are there to be killed in the middle of an answer, on Node: HTTP/1.1, HTTP/2 and gRPC. The first line
 * on stdout has their ports. Every answer begins and never ends.
 */

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

function begin(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
): void {
  if (request.url?.includes("length") === true) response.setHeader("content-length", "10");
  if (request.url?.includes("events") === true) response.setHeader("content-type", "text/event-stream");
  // Both have it, and their types do not agree on the rest of its parameters.
  (response as ServerResponse).write("piece");
}

const ports = {
  http1: await listening(createServer(begin)),
  http2: await listening(createHttp2Server(begin)),
  grpc: (await startEchoServer()).port,
};
process.stdout.write(`${JSON.stringify(ports)}\n`);
