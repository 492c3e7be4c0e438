import { expect, test } from "bun:test";
import { type Body, BytesBody, HeaderList, SluiceError } from "sluice/plugin";
import { startNginx } from "../e2e/daemon.ts";
import { freePort } from "../e2e/free-port.ts";
import { startNode } from "../e2e/node-process.ts";
import { testListener } from "../listener/test-listener.ts";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { http2, ManualBody, outbound, textOf } from "./test-kit.ts";
import type { OutboundRequest } from "./transport.ts";

/* Servers that close their HTTP/2 connections under load, as real ones do: nobody notices. */

const REQUESTS = 2_000;
const AT_A_TIME = 32;

async function startServer(mode: string): Promise<AsyncDisposable & { readonly port: number }> {
  await using open = new AsyncDisposableStack();
  const node = open.use(await startNode("../upstream/test-restless-server.ts", mode));
  const port = Number(await node.next());
  const all = open.move();
  return { port, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function startNginxOf(requests: number): Promise<AsyncDisposable & { readonly port: number }> {
  await using open = new AsyncDisposableStack();
  const port = freePort();
  const dir = open.use(temporaryDir());
  const kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = dir.write(
    "nginx.conf",
    `daemon off; master_process off; pid ${dir.path}/pid; error_log stderr crit;
    events { worker_connections 512; }
    http {
      access_log off; ${kept.map((name) => `${name}_temp_path ${dir.path}/${name};`).join(" ")}
      server { listen 127.0.0.1:${port} http2; keepalive_requests ${requests}; location / { return 200 "ok"; } }
    }`,
  );
  open.use(await startNginx(config, port));
  const all = open.move();
  return { port, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Sends what `make` makes, `atATime` at a time. @returns how often each outcome was seen */
async function load(
  port: number,
  make: (index: number) => OutboundRequest,
  atATime = AT_A_TIME,
): Promise<Record<string, number>> {
  const transport = http2({ port, pool: { maxPending: atATime } });
  const outcomes: Record<string, number> = {};
  let next = 0;
  async function client(): Promise<void> {
    while (next < REQUESTS) {
      const outcome = await transport.request(make(next++)).then(
        async (answer) => `${answer.status} ${await textOf(answer)}`,
        (error: unknown) => (error instanceof SluiceError ? error.reason : String(error)),
      );
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  }
  await Promise.all(Array.from({ length: atATime }, client));
  transport.close();
  return outcomes;
}

/** "body", in two pieces with a turn of the event loop between them. */
function slowly(): Body {
  const body = new ManualBody(4);
  body.push("bo");
  setImmediate(() => {
    body.push("dy");
    body.end();
  });
  return body;
}

/** GET, POST at once and POST in pieces by turns. */
function mixed(index: number): OutboundRequest {
  if (index % 3 === 0) return outbound();
  const body = index % 3 === 1 ? new BytesBody(Buffer.from("body")) : slowly();
  return outbound({ method: "POST", body });
}

for (const mode of ["close", "goaway"]) {
  test(`a Node server that ends its sessions after 100 requests (${mode}) costs no request`, async () => {
    await using server = await startServer(mode);
    const gets = Math.ceil(REQUESTS / 3);
    expect(await load(server.port, mixed)).toEqual({ "200 ": gets, "200 body": REQUESTS - gets });
  });
}

test("nginx that ends its connections after 100 requests costs no request", async () => {
  await using server = await startNginxOf(100);
  expect(await load(server.port, mixed)).toEqual({ "200 ok": REQUESTS });
});

test("nginx that ends its connections after fewer requests than come at a time costs none", async () => {
  await using server = await startNginxOf(20);
  expect(await load(server.port, mixed, 200)).toEqual({ "200 ok": REQUESTS });
});

test("a gRPC server whose connections grow no older than 50 ms costs no call", async () => {
  await using server = await startServer("grpc");
  const headers = new HeaderList(["content-type", "application/grpc", "te", "trailers"]);
  const call = Buffer.of(0, 0, 0, 0, 2, 0x68, 0x69);
  const make = () =>
    outbound({ method: "POST", target: "/t.Echo/Unary", headers, body: new BytesBody(call) });
  expect(await load(server.port, make)).toEqual({ [`200 ${call.toString("latin1")}`]: REQUESTS });
});

test("a gateway behind this one that drains costs no request but those that it is not there for", async () => {
  let served = 0;
  using gateway = await testListener(async (inbound) => {
    if (++served === REQUESTS / 2) gateway.listener.drain();
    await inbound.respond(200, new HeaderList(), new BytesBody(Buffer.from("ok")));
  });
  const { "200 ok": answered = 0, connect = 0, ...others } = await load(gateway.port, mixed);
  expect(others).toEqual({});
  expect(answered).toBeGreaterThanOrEqual(REQUESTS / 2);
  expect(answered + connect).toBe(REQUESTS);
});
