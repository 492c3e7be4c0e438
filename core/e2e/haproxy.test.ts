import { expect, test } from "bun:test";
import * as grpc from "@grpc/grpc-js";
import { rmSync } from "node:fs";
import { type Binary, startBinary, temporaryDir } from "./binary.ts";
import { accepting, freePort } from "./free-port.ts";
import { echoClient, type EchoServer, type Message, startEchoServer } from "./grpc-echo.ts";
import { exampleOnPorts } from "./paths.ts";

/* config/examples/behind-haproxy.yaml behind a real HAProxy, on the compiled binary. */

interface Seen {
  readonly headers: Readonly<Record<string, string>>;
}

async function startHaproxy(gateway: number) {
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
  server s1 127.0.0.1:${gateway} send-proxy-v2 check check-send-proxy inter 100ms fall 2 rise 1
frontend grpc
  bind 127.0.0.1:${ports.grpc} proto h2
  default_backend grpc
backend grpc
  server s2 127.0.0.1:${gateway} send-proxy-v2 proto h2
`,
  });
  const child = Bun.spawn(["/usr/sbin/haproxy", "-db", "-f", `${dir}/haproxy.cfg`], {
    stdout: "pipe",
    stderr: "pipe",
  });
  await accepting(ports.grpc);
  return {
    ports,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** One HTTP/1.1 request over a connection that begins with a PROXY header naming `source`. */
async function requestFrom(
  port: number,
  source: string,
  head: string,
): Promise<{ status: number; body: string }> {
  const done = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_socket, chunk) {
        text += chunk.toString("latin1");
      },
      close: () => done.resolve(text),
      error: (_socket, error) => done.reject(error),
    },
  });
  socket.write(`PROXY TCP4 ${source} 198.51.100.1 40000 443\r\n${head}Connection: close\r\n\r\n`);
  const answer = await done.promise;
  const split = answer.indexOf("\r\n\r\n");
  return {
    status: Number(answer.slice(9, 12)),
    body: dechunk(answer.slice(0, split), answer.slice(split + 4)),
  };
}

function dechunk(head: string, body: string): string {
  if (!/transfer-encoding: chunked/i.test(head)) return body;
  let out = "";
  for (let at = 0; ;) {
    const end = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.slice(at, end), 16);
    if (!(size > 0)) return out;
    out += body.slice(end + 2, end + 2 + size);
    at = end + 4 + size;
  }
}

async function setup(): Promise<{ gateway: Binary; echo: EchoServer; http: { stop(): void } }> {
  const echo = await startEchoServer();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => Response.json({ headers: Object.fromEntries(request.headers) }),
  });
  const gateway = await startBinary(
    exampleOnPorts("behind-haproxy.yaml", { 18080: 0, 18081: 0, 19000: server.port ?? 0, 19001: echo.port }),
  );
  return { gateway, echo, http: { stop: () => void server.stop(true) } };
}

test("HAProxy in front: true addresses, forged headers replaced, gRPC, and out of rotation before it stops", async () => {
  const { gateway, echo, http } = await setup();
  await using haproxy = await startHaproxy(gateway.port);

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

  await gateway[Symbol.asyncDispose]();
  await echo[Symbol.asyncDispose]();
  http.stop();
}, 30_000);

test("a connection without the PROXY header is refused", async () => {
  const { gateway, echo, http } = await setup();
  const done = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: gateway.port,
    socket: {
      data(_socket, chunk) {
        text += chunk.toString("latin1");
      },
      close: () => done.resolve(text),
      error: () => done.resolve(text),
    },
  });
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(await done.promise).not.toContain("200 OK");
  await gateway[Symbol.asyncDispose]();
  await echo[Symbol.asyncDispose]();
  http.stop();
});
