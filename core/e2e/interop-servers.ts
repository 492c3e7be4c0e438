import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { startEchoServer } from "./grpc-echo.ts";
import { ETAG, LARGE, SMALL, sumOf, type Upload } from "./interop-checks.ts";

/*
 * The upstreams of interop.test.ts, on Node: HTTP/1.1, HTTP/2 and gRPC. The first line on stdout has their ports.
 * `x-connection` of an answer names the connection that it came over.
 */

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

/** A request that breaks off is nobody's failure here: whoever sent it knows. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  answer(request, response).catch(() => response.destroy());
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader("x-connection", String(request.socket.remotePort));
  const end = (status: number, body: string | Uint8Array): void => {
    response.statusCode = status;
    response.setHeader("content-length", Buffer.byteLength(body));
    response.end(body);
  };
  const bare = (status: number): void => {
    response.statusCode = status;
    response.end();
  };
  switch (request.url) {
    case "/small":
      response.setHeader("etag", ETAG);
      if (request.headers["if-none-match"] === ETAG) bare(304);
      else end(200, SMALL);
      break;
    case "/none":
      bare(204);
      break;
    case "/large":
      end(200, LARGE);
      break;
    case "/trailers":
      response.setHeader("trailer", "x-sum");
      response.write(LARGE);
      response.addTrailers({ "x-sum": sumOf(LARGE) });
      response.end();
      break;
    case "/sum": {
      const pieces: Buffer[] = [];
      for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
      const body = Buffer.concat(pieces);
      const upload: Upload = {
        bytes: body.byteLength,
        sum: sumOf(body),
        length: request.headers["content-length"],
        trailers: request.trailers,
      };
      end(200, JSON.stringify(upload));
      break;
    }
    default:
      bare(404);
  }
}

const ports = {
  http1: await listening(createServer(serve)),
  http2: await listening(
    createHttp2Server((request, response) => {
      // The same interface, as far as it goes here.
      serve(request as unknown as IncomingMessage, response as unknown as ServerResponse);
    }),
  ),
  grpc: (await startEchoServer()).port,
};
process.stdout.write(`${JSON.stringify(ports)}\n`);
