/** A pretend upstream on a free port of the loopback. */
export interface DemoServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Cuts what is open and frees the port. */
  close(): Promise<void>;
}

/** Bytes of the largest request that the pretend upstreams take. */
export const MAX_BODY = 16 * 1024 * 1024;

export interface FetchApp {
  fetch(request: Request): Response | Promise<Response>;
}

/** Serves an app over HTTP/1.1. */
export function serveApp(app: FetchApp): DemoServer {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxRequestBodySize: MAX_BODY,
    // A stream may rest for as long as its reader likes.
    idleTimeout: 0,
    fetch: (request) => app.fetch(request),
  });
  return {
    url: `http://127.0.0.1:${String(server.port)}`,
    close: () => server.stop(true),
  };
}
