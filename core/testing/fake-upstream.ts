import { getRequestListener } from "@hono/node-server";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import type { HeaderList } from "sluice/plugin";
import { uncheckedHeaders } from "../plugin/headers.ts";

/** A request as it reached a fake upstream. */
export interface SeenRequest {
  readonly method: string;
  /** The request target as it stood on the wire. */
  readonly target: string;
  /** Fields in their order, names in lower case; `:authority` and its like under HTTP/2 included. */
  readonly headers: HeaderList;
  readonly httpVersion: "1.1" | "2";
  /** The body so far. */
  readonly body: Uint8Array;
  /** The whole body as text, once it has arrived. Rejects when it broke off. */
  text(): Promise<string>;
}

export interface FakeUpstreamOptions {
  /** `http2` is clear text with prior knowledge. @default "http1" */
  readonly protocol?: "http1" | "http2";
}

/** A server on a free port of the loopback, for a test. */
export interface FakeUpstream {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  readonly protocol: "http1" | "http2";
  /** Every request that came, in the order of arrival. */
  readonly requests: readonly SeenRequest[];
  /** Answers once `count` requests have come in all. */
  received(count: number): Promise<void>;
  /** Cuts every connection and frees the port. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type FetchHandler = (request: Request) => Response | Promise<Response>;

type Incoming = IncomingMessage | Http2ServerRequest;

/**
 * Starts an upstream that answers with `handler` (a function from Request to Response, or a Hono app) on a
 * real socket and keeps what it was asked, bodies included: one that the handler does not touch is read to its
 * end before the answer leaves, unless the handler cancelled it. A handler that throws is answered with 500.
 */
export async function fakeUpstream(
  handler: FetchHandler | { readonly fetch: FetchHandler },
  options: FakeUpstreamOptions = {},
): Promise<FakeUpstream> {
  const { protocol = "http1" } = options;
  const requests: SeenRequest[] = [];
  const waiting = new Set<{ readonly count: number; readonly resolve: () => void }>();
  const sockets = new Set<Socket>();
  const handle = typeof handler === "function" ? handler : (request: Request) => handler.fetch(request);

  async function answer(request: Request): Promise<Response> {
    const response = await handle(request);
    // What the handler leaves unread is read for the test to see; before the answer, which ends the stream.
    if (!request.bodyUsed) await request.arrayBuffer().catch(ignore);
    return response;
  }

  const listener = getRequestListener(answer, {
    // Tests share their process with the gateway: its Request and Response stay the runtime's own.
    overrideGlobalObjects: false,
    errorHandler: (error) => new Response(String(error), { status: 500 }),
  });

  function take(incoming: Incoming, outgoing: ServerResponse | Http2ServerResponse): void {
    // A client that leaves is part of many tests, and an unheard "error" event would end the process.
    incoming.on("error", ignore);
    outgoing.on("error", ignore);
    requests.push(record(incoming, protocol === "http2" ? "2" : "1.1"));
    for (const waiter of waiting) {
      if (requests.length < waiter.count) continue;
      waiting.delete(waiter);
      waiter.resolve();
    }
    listener(incoming, outgoing).catch(ignore);
  }

  const server: Server = protocol === "http2" ? createHttp2Server(take) : createServer(take);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", ignore);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const port = (server.address() as AddressInfo).port;

  async function close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    protocol,
    requests,
    received(count) {
      if (requests.length >= count) return Promise.resolve();
      return new Promise((resolve) => void waiting.add({ count, resolve }));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function record(incoming: Incoming, httpVersion: "1.1" | "2"): SeenRequest {
  const chunks: Uint8Array[] = [];
  const end = Promise.withResolvers<void>();
  end.promise.catch(ignore);
  incoming.once("end", end.resolve);
  incoming.once("close", () => end.reject(new Error("the request broke off before its end")));
  // Every chunk that anybody reads passes `emit`; a listener of our own would set the stream flowing and take
  // the back-pressure away from the handler.
  const emit = incoming.emit.bind(incoming) as (event: string | symbol, ...values: unknown[]) => boolean;
  incoming.emit = (event: string | symbol, ...values: unknown[]) => {
    if (event === "data") chunks.push(values[0] as Uint8Array);
    return emit(event, ...values);
  };
  const flat = incoming.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
  return {
    method: incoming.method ?? "",
    target: incoming.url ?? "",
    headers: uncheckedHeaders(flat),
    httpVersion,
    get body() {
      return Buffer.concat(chunks);
    },
    async text() {
      await end.promise;
      return Buffer.concat(chunks).toString();
    },
  };
}

function ignore(): void {}
