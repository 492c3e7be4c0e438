import { expect, test } from "bun:test";
import * as grpc from "@grpc/grpc-js";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { startBinary } from "./binary.ts";
import { startHaproxy } from "./daemon.ts";
import { freePort } from "./free-port.ts";
import { echoClient, type Message, startEchoServer } from "./grpc-echo.ts";
import { exampleOnPorts } from "./paths.ts";
import { type RawAnswer, sendRaw } from "./raw-client.ts";

/* config/examples/behind-haproxy.yaml behind a real HAProxy, on the compiled binary. */

interface Seen {
  readonly headers: Readonly<Record<string, string>>;
}

async function startFront(gateway: number) {
  const ports = { http: freePort(), grpc: freePort() };
  // `accept-proxy` lets the test name a source; `send-proxy-v2` passes it on as HAProxy does for a real one.
  const dir = temporaryDir({
    "haproxy.cfg": `
global
  maxconn 200
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  retries 3
  option redispatch
frontend http
  bind 127.0.0.1:${ports.http} accept-proxy
  default_backend http
backend http
  option httpchk GET /ready
  http-check send hdr Host haproxy
  server s1 127.0.0.1:${gateway} send-proxy-v2 check check-send-proxy inter 200ms
frontend grpc
  bind 127.0.0.1:${ports.grpc} proto h2
  default_backend grpc
backend grpc
  option httpchk GET /ready
  http-check send hdr Host haproxy
  server s2 127.0.0.1:${gateway} send-proxy-v2 proto h2 check check-send-proxy check-proto h1 inter 200ms
`,
  });
  await using open = new AsyncDisposableStack();
  open.use(dir);
  const daemon = open.use(await startHaproxy(`${dir.path}/haproxy.cfg`, ports.grpc));
  const all = open.move();
  return {
    ports,
    // It tells on stderr why a server went down.
    async downs(): Promise<string[]> {
      return (await daemon.terminate()).split("\n").filter((line) => line.includes("is DOWN"));
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** One HTTP/1.1 request over a connection that begins with a PROXY header naming `source`. */
function requestFrom(port: number, source: string, head: string): Promise<RawAnswer> {
  return sendRaw(port, `PROXY TCP4 ${source} 198.51.100.1 40000 443\r\n${head}Connection: close\r\n\r\n`);
}

async function setup() {
  await using open = new AsyncDisposableStack();
  const echo = open.use(await startEchoServer());
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => Response.json({ headers: Object.fromEntries(request.headers) }),
  });
  open.defer(() => server.stop(true));
  const binary = await startBinary(
    exampleOnPorts("behind-haproxy.yaml", { 18080: 0, 18081: 0, 19000: server.port ?? 0, 19001: echo.port }),
  );
  const gateway = open.use(binary);
  const all = open.move();
  return { gateway, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

test("HAProxy in front: true addresses, forged headers replaced, gRPC, and out of rotation before it stops", async () => {
  await using started = await setup();
  const { gateway } = started;
  await using haproxy = await startFront(gateway.port);

  // The source of the PROXY header reaches the upstream; what it claims to forward for is not believed.
  const answer = await requestFrom(
    haproxy.ports.http,
    "203.0.113.7",
    "GET /x HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\n",
  );
  expect(answer.status).toBe(200);
  const seen = JSON.parse(answer.body) as Seen;
  expect(seen.headers["x-forwarded-for"]).toBe("203.0.113.7");
  expect(seen.headers["host"]).toBe("a.example");
  const logged = await gateway.line((line) => line["msg"] === "request" && line["target"] === "/x");
  expect(logged["client"]).toBe("203.0.113.7");

  const client = echoClient(`127.0.0.1:${haproxy.ports.grpc}`);
  const reply = await new Promise<Message | undefined>((resolve, reject) => {
    client.Unary(
      { text: "via", number: "1" },
      new grpc.Metadata(),
      {},
      (error: grpc.ServiceError | null, got) => (error === null ? resolve(got) : reject(error)),
    );
  });
  expect(reply?.text).toBe("via");
  client.close();

  // Under load, SIGTERM: readiness fails first, HAProxy's check takes the server out, only then it stops.
  const statuses: number[] = [];
  let terminated = false;
  let sinceDown = 0;
  const load = (async () => {
    while (sinceDown < 5) {
      const { status } = await requestFrom(
        haproxy.ports.http,
        "203.0.113.8",
        "GET /load HTTP/1.1\r\nHost: a\r\n",
      );
      statuses.push(status);
      if (terminated && status !== 200) sinceDown++;
    }
  })();
  await gateway.line((line) => line["target"] === "/load");
  gateway.signal("SIGTERM");
  terminated = true;
  expect(await gateway.exited).toBe(0);
  await load;
  // HAProxy's own 503 for "no server" is all that anybody sees besides 200: no 502 of a connection that broke.
  expect(new Set(statuses)).toEqual(new Set([200, 503]));
  // Both backends learned it from the check, and not from a refused connection.
  const downs = await haproxy.downs();
  expect(downs).toEqual([
    expect.stringMatching(/Server (http\/s1|grpc\/s2) is DOWN, reason: Layer7 wrong status, code: 503/),
    expect.stringMatching(/Server (http\/s1|grpc\/s2) is DOWN, reason: Layer7 wrong status, code: 503/),
  ]);
}, 30_000);

test("a connection without the PROXY header is refused", async () => {
  await using started = await setup();
  const { gateway } = started;
  const { status, body } = await sendRaw(gateway.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect([status, body]).toEqual([0, ""]);
});
