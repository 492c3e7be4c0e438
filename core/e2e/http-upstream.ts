/** What an HTTP upstream of the tests saw. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HttpUpstream extends AsyncDisposable {
  readonly port: number;
}

/** An HTTP upstream that answers with what it saw, as JSON; `handler` may answer otherwise. */
export function startHttpUpstream(
  name: string,
  handler: (request: Request) => Response | Promise<Response> | undefined = () => undefined,
): HttpUpstream {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const own = handler(request);
      if (own !== undefined) return own;
      const url = new URL(request.url);
      const seen = {
        upstream: name,
        method: request.method,
        path: url.pathname + url.search,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
      };
      return Response.json(seen, { headers: { "x-upstream": name } });
    },
  });
  return {
    port: server.port ?? 0,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
