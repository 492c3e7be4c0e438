import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Binary, startBinary } from "./binary.ts";
import { startWsClient, startWsServer, type WsPeer } from "./ws-peer.ts";

/* WebSocket through the compiled binary, between a client and a server of the package `ws` on Node. */

const HEAD = `import { definePlugin } from "sluice/plugin";\nimport { z } from "zod";\n`;
const FILES = {
  "etag.ts": `${HEAD}import { etag } from "hono/etag";
export default definePlugin({
  apiVersion: 1, name: "etag", description: "", schema: z.strictObject({}), setup: () => ({ handle: etag() }),
});`,
  "rewraps.ts": `${HEAD}
export default definePlugin({
  apiVersion: 1, name: "rewraps", description: "", schema: z.strictObject({}),
  setup: () => ({
    async handle(c, next) {
      await next();
      c.res = new Response(c.res.body, c.res);
      c.res.headers.set("x-rewrapped", "yes");
    },
  }),
});`,
  "declines.ts": `${HEAD}import { exchangeOf } from "sluice/plugin";
export default definePlugin({
  apiVersion: 1, name: "declines", description: "", schema: z.strictObject({}),
  setup: () => ({
    handle(c, next) {
      exchangeOf(c).request.headers.delete("upgrade");
      return next();
    },
  }),
});`,
};

/** Takes requests and says nothing: what it is asked ends when `timeouts.request` has passed. */
const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });

let server: WsPeer & { readonly port: number };
let gateway: Binary;
const open = new AsyncDisposableStack();

const yamlOf = (port: number): string => `version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
shutdown_timeout: 1s
plugins: { etag: ./etag.ts, rewraps: ./rewraps.ts, declines: ./declines.ts }
upstreams:
  ws: { targets: ["http://127.0.0.1:${port}"], timeouts: { first_byte: 2s, idle: 200ms, request: 300ms } }
  silent: { targets: ["http://127.0.0.1:${silent.port}"], timeouts: { request: 300ms } }
  h2: { protocol: http2, targets: ["http://127.0.0.1:${port}"] }
routes:
  - { match: { path: /declined }, pipeline: [declines], upstream: ws }
  - { match: { path: /h2 }, upstream: h2 }
  - { match: { path: /silent }, upstream: silent }
  - { name: ws, match: { path: /*, header: { upgrade: websocket } }, pipeline: [request-id, security-headers, etag, rewraps], upstream: ws }
  - { match: { path: /* }, respond: { status: 204 } }
`;

beforeAll(async () => {
  server = open.use(await startWsServer());
  gateway = open.use(await startBinary(yamlOf(server.port), FILES));
});

afterAll(async () => {
  await open.disposeAsync();
  silent.stop(true);
});

const connect = (path: string, ...protocols: readonly string[]): WsPeer =>
  startWsClient(`ws://${gateway.listener()}${path}`, ...protocols);
const lineOf = (target: string): Promise<Record<string, unknown>> =>
  gateway.line((line) => line["msg"] === "request" && line["target"] === target);

test("text, bytes, pings, subprotocol, compression and close codes pass, through steps that look at the answer", async () => {
  await using client = connect("/chat", "v1.chat", "v2.chat");
  const { headers } = await client.next("upgrade");
  expect(headers).toMatchObject({
    "x-rewrapped": "yes",
    "x-content-type-options": "nosniff",
    upgrade: "websocket",
  });
  expect(await client.next("open")).toMatchObject({ protocol: "v2.chat", extensions: "permessage-deflate" });
  const { url, headers: seen } = await server.next("connection");
  expect(url).toBe("/chat");
  expect(seen).toMatchObject({ connection: "upgrade", upgrade: "websocket", "x-forwarded-for": "127.0.0.1" });

  client.do("send", "hello ☃");
  expect(await client.next("message")).toMatchObject({ binary: false, text: "hello ☃" });
  client.do("sendBytes", 3_000_000);
  expect(await client.next("message")).toMatchObject({ binary: true, bytes: 3_000_000 });
  client.do("ping", "are you there");
  expect(await client.next("pong")).toMatchObject({ text: "are you there" });
  server.do("ping", "and you");
  expect(await client.next("ping")).toMatchObject({ text: "and you" });

  client.do("close", 4001, "goodbye");
  expect(await server.next("close")).toMatchObject({ code: 4001, reason: "goodbye" });
  expect(await client.next("close")).toMatchObject({ code: 4001, reason: "goodbye" });
  const line = await lineOf("/chat");
  expect(line).toMatchObject({ status: 101, route: "ws", upstream: "ws" });
  expect(line).not.toHaveProperty("failed");
  expect(Number(line["bytes_in"])).toBeGreaterThan(100);
  expect(Number(line["bytes_out"])).toBeGreaterThan(100);
});

test("no timeout of the request holds once it is another protocol", async () => {
  await using client = connect("/patient");
  await client.next("open");
  await server.next("connection");
  // Two requests that began behind it have run into the same timeout, one after the other.
  for (let passed = 0; passed < 2; passed++)
    expect((await fetch(`http://${gateway.listener()}/silent`)).status).toBe(504);
  server.do("ping", "tick");
  await client.next("ping");
  client.do("send", "still here");
  expect(await client.next("message")).toMatchObject({ text: "still here" });
  server.do("close", 1001, "leaving");
  expect(await client.next("close")).toMatchObject({ code: 1001, reason: "leaving" });
});

describe("an end without a close frame is seen on the other side at once", () => {
  test("the client's", async () => {
    await using client = connect("/gone");
    await client.next("open");
    await server.next("connection");
    const begun = performance.now();
    client.do("terminate");
    expect(await server.next("close")).toMatchObject({ code: 1006 });
    expect(performance.now() - begun).toBeLessThan(1_000);
  });

  test("the upstream's", async () => {
    await using own = await startWsServer();
    await using other = await startBinary(yamlOf(own.port), FILES);
    await using client = startWsClient(`ws://${other.listener()}/x`);
    await client.next("open");
    await own.kill();
    expect(await client.next("close")).toMatchObject({ code: 1006 });
  });
});

test("an upstream that refuses is passed on as it is", async () => {
  await using client = connect("/refused");
  expect(await client.next("refused")).toMatchObject({ status: 401 });
  expect(await lineOf("/refused")).toMatchObject({ status: 401, upstream: "ws" });
});

test.each(["/declined", "/h2"])("%s: an offer that is not passed on is no upgrade", async (path) => {
  await using client = connect(path);
  const { status } = await client.next("refused");
  // `ws` answers 426 to what is no upgrade; it speaks no HTTP/2 at all.
  expect(status).toBe(path === "/h2" ? 502 : 426);
});

test("who does not read is not read ahead of", async () => {
  await using client = connect("/slow");
  await client.next("open");
  await server.next("connection");
  client.do("pause");
  for (let i = 0; i < 64; i++) server.do("sendBytes", 1_000_000);
  // What the kernels hold between the three of them is taken; the rest waits at its source, and not with us.
  for (let before = -1, same = 0; same < 50;) {
    server.do("buffered");
    const bytes = Number((await server.next("buffered"))["bytes"]);
    expect(bytes).toBeGreaterThan(32_000_000);
    same = bytes === before ? same + 1 : 0;
    before = bytes;
  }
  client.do("resume");
  for (let i = 0; i < 64; i++) expect(await client.next("message")).toMatchObject({ bytes: 1_000_000 });
  client.do("close", 1000, "");
  await server.next("close");
}, 20_000);

test("a drain gives open sockets the grace, then cuts and counts them", async () => {
  await using other = await startBinary(yamlOf(server.port), FILES);
  await using client = startWsClient(`ws://${other.listener()}/drain`);
  await client.next("open");
  await server.next("connection");
  other.signal("SIGTERM");
  await other.line((line) => line["msg"] === "draining");
  client.do("send", "while draining");
  expect(await client.next("message")).toMatchObject({ text: "while draining" });
  expect(await client.next("close")).toMatchObject({ code: 1006 });
  expect(await other.exited).toBe(4);
});
