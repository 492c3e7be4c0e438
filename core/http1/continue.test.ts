import { expect, test } from "bun:test";
import { type Body, BytesBody, HeaderList } from "sluice/plugin";
import type { Http1Inbound } from "./http1-inbound.ts";
import { eventually, statusOf, testServer, turns } from "./test-server.ts";

/* `Expect: 100-continue` (RFC 9110 §10.1.1): leave to send a body is given when somebody wants it, and only then. */

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const ask = (fields = "Content-Length: 5", target = "/") =>
  `POST ${target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n${fields}\r\n\r\n`;
const text = (value: string) => new BytesBody(Buffer.from(value));

async function read(body: Body | null): Promise<string> {
  let all = "";
  for (let piece = await body!.read(); piece; piece = await body!.read())
    all += Buffer.from(piece).toString();
  return all;
}

/** Answers with the request's body. */
const echo = async (inbound: Http1Inbound) => {
  try {
    await inbound.respond(200, new HeaderList(), text(await read(inbound.body)));
  } catch (error) {
    await inbound.respond(statusOf(error), new HeaderList(), null);
  }
};

test.each([
  ["a length", "Content-Length: 5", "hello"],
  ["chunks", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"],
])(
  "a body with %s is asked for by reading it, once, and the connection lives on",
  async (_, fields, body) => {
    let inbound: Http1Inbound | undefined;
    using server = testServer((request) => void (inbound = request));
    const client = await server.connect(ask(fields));
    await eventually(() => inbound !== undefined);
    expect(client.received).toBe("");
    void echo(inbound!);
    await client.until(CONTINUE);
    expect(client.received).toBe(CONTINUE);
    await client.send(body);
    await client.until("\r\n\r\nhello");
    expect(client.received).not.toContain("connection: close");
    expect(client.received.split("100 Continue")).toHaveLength(2);
    inbound = undefined;
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually(() => inbound !== undefined);
  },
);

test("a client that does not wait is not asked", async () => {
  using server = testServer(echo);
  const client = await server.connect(`${ask()}hello`);
  await client.until("\r\n\r\nhello");
  expect(client.received).toStartWith("HTTP/1.1 200 ");
});

test("a client that waits only a while is not asked any more", async () => {
  let inbound: Http1Inbound | undefined;
  using server = testServer((request) => void (inbound = request));
  const client = await server.connect(ask());
  await eventually(() => inbound !== undefined);
  server.wires[0]!.owner.data(Buffer.from("hel"));
  void echo(inbound!);
  await client.send("lo");
  await client.until("\r\n\r\nhello");
  expect(client.received).toStartWith("HTTP/1.1 200 ");
});

test.each([
  ["no body", "Accept: x"],
  ["an empty body", "Content-Length: 0"],
])("with %s there is nothing to ask for", async (_, fields) => {
  using server = testServer(async (inbound) => {
    await inbound.body?.read();
    await inbound.respond(200, new HeaderList(), null);
  });
  const client = await server.connect(ask(fields));
  await client.until("\r\n\r\n");
  expect(client.received).toStartWith("HTTP/1.1 200 ");
  expect(client.received).not.toContain("connection: close");
});

test("HTTP/1.0 has no such thing", async () => {
  using server = testServer(echo);
  const client = await server.connect(ask().replace("1.1", "1.0"));
  await client.send("hello");
  expect(await client.ended()).toStartWith("HTTP/1.1 200 ");
});

test("a final answer without reading asks for nothing and ends the connection", async () => {
  let late: Body | null = null;
  using server = testServer((inbound) => {
    late = inbound.body;
    return inbound.respond(403, new HeaderList(), text("no"));
  });
  const client = await server.connect(ask());
  const received = await client.ended();
  expect(received).toStartWith("HTTP/1.1 403 ");
  expect(received).toContain("connection: close\r\n");
  // What comes all the same is no request.
  await client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
  client.finish();
  expect(async () => await late!.read()).toThrow();
  await eventually(() => server.server.connections === 0);
  expect(client.received).toBe(received);
});

test("a reader that comes after the final answer was begun asks for nothing", async () => {
  let inbound: Http1Inbound | undefined;
  using server = testServer((request) => void (inbound = request));
  const client = await server.connect(ask());
  await eventually(() => inbound !== undefined);
  let finish: (() => void) | undefined;
  const slow: Body = {
    length: 2,
    trailers: undefined,
    read: () => new Promise((resolve) => (finish = () => resolve(Buffer.from("ok")))),
    cancel() {},
  };
  void inbound!.respond(200, new HeaderList(), slow);
  void Promise.resolve(inbound!.body!.read()).catch(() => {});
  finish!();
  await eventually(() => client.received.endsWith("ok"));
  expect(client.received).not.toContain("100");
});

test("a late reader of one body does not ask for the next", async () => {
  const inbounds: Http1Inbound[] = [];
  using server = testServer((request) => void inbounds.push(request));
  // This client did not wait, so its connection lives on; nobody reads the body.
  const client = await server.connect(`${ask("Content-Length: 5", "/1")}he`);
  await eventually(() => inbounds.length === 1);
  void inbounds[0]!.respond(200, new HeaderList(), null);
  await client.until("\r\n\r\n");
  await client.send(`llo${ask("Content-Length: 5", "/2")}`);
  await eventually(() => inbounds.length === 2);
  expect(async () => await inbounds[0]!.body!.read()).toThrow();
  await turns(1);
  expect(client.received).not.toContain("100 Continue");
  void echo(inbounds[1]!);
  await client.until(CONTINUE);
});

test("while leave is awaited the client cannot be late; once it has leave, it can", async () => {
  let inbound: Http1Inbound | undefined;
  using server = testServer((request) => void (inbound = request), { bodyTimeout: 1_000 });
  const client = await server.connect(ask());
  await eventually(() => inbound !== undefined);
  await server.clock.advance(60_000);
  void echo(inbound!);
  await client.until(CONTINUE);
  await server.clock.advance(2_000);
  expect(await client.ended()).toContain("HTTP/1.1 408 ");
});

test("what waits behind other pipelined requests is asked for in its turn", async () => {
  const inbounds: Http1Inbound[] = [];
  using server = testServer((request) => void inbounds.push(request));
  const client = await server.connect(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${ask()}`);
  await eventually(() => inbounds.length === 1);
  expect(client.received).toBe("");
  void inbounds[0]!.respond(204, new HeaderList(), null);
  await eventually(() => inbounds.length === 2);
  void echo(inbounds[1]!);
  await client.until(CONTINUE);
  await client.send("hello");
  await client.until("\r\n\r\nhello");
  expect(client.received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 204", "HTTP/1.1 100", "HTTP/1.1 200"]);
});
