import { expect, test } from "bun:test";
import * as grpc from "@grpc/grpc-js";
import { BodyQueue, HeaderList } from "sluice/plugin";
import { eventually } from "../http1/test-server.ts";
import type { Inbound, Sent } from "./inbound.ts";
import { testListener } from "./test-listener.ts";

/* gRPC's own client against a handler that moves bytes: what matters is that messages, trailers and resets pass. */

const bytes = (value: Buffer): Buffer => value;
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path,
  ...{ requestStream, responseStream },
  ...{
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
});

const Echo = grpc.makeGenericClientConstructor(
  {
    unary: method("/t.Echo/Unary", false, false),
    down: method("/t.Echo/Down", false, true),
    up: method("/t.Echo/Up", true, false),
    both: method("/t.Echo/Both", true, true),
    refused: method("/t.Echo/Refused", false, false),
    silent: method("/t.Echo/Silent", false, true),
  },
  "Echo",
);

interface EchoClient extends Disposable {
  unary(message: Buffer, metadata: grpc.Metadata, done: Done): grpc.ClientUnaryCall;
  refused(message: Buffer, done: Done): grpc.ClientUnaryCall;
  down(message: Buffer): grpc.ClientReadableStream<Buffer>;
  silent(message: Buffer, options?: grpc.CallOptions): grpc.ClientReadableStream<Buffer>;
  up(done: Done): grpc.ClientWritableStream<Buffer>;
  both(): grpc.ClientDuplexStream<Buffer, Buffer>;
}
type Done = (error: grpc.ServiceError | null, message?: Buffer) => void;

function connect(port: number): EchoClient {
  const client = new Echo(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  return Object.assign(client as unknown as EchoClient, { [Symbol.dispose]: () => client.close() });
}

const HEAD = new HeaderList(["content-type", "application/grpc", "x-head", "1"]);
const OK = new HeaderList(["grpc-status", "0", "x-tail", "2"]);
const FAILED = new HeaderList([
  "content-type",
  "application/grpc",
  "grpc-status",
  "5",
  "grpc-message",
  "no%20such",
]);

interface Outcomes {
  readonly gone: string[];
  readonly sent: Promise<Sent>[];
}

/** Sends back what comes; a message is never looked into. */
function echo(inbound: Inbound, { gone, sent }: Outcomes): void {
  inbound.onGone = (error) => gone.push(error.code);
  if (inbound.rawTarget === "/t.Echo/Refused") {
    sent.push(Promise.resolve(inbound.respond(200, FAILED, null)));
    return;
  }
  const body = new BodyQueue({ pause() {}, resume() {}, cancelled() {} });
  sent.push(Promise.resolve(inbound.respond(200, HEAD, body)));
  if (inbound.rawTarget === "/t.Echo/Silent") return;
  void (async () => {
    try {
      for (let chunk = await inbound.body!.read(); chunk !== null; chunk = await inbound.body!.read()) {
        body.push(chunk);
        if (inbound.rawTarget === "/t.Echo/Down") body.push(chunk);
      }
      body.end(OK);
    } catch (error) {
      body.fail(error);
    }
  })();
}

async function echoServer() {
  const outcomes: Outcomes = { gone: [], sent: [] };
  const served = await testListener((inbound) => echo(inbound, outcomes), { limits: { body: 1e7 } });
  const client = connect(served.port);
  return {
    served,
    client,
    ...outcomes,
    [Symbol.dispose]() {
      client[Symbol.dispose]();
      served[Symbol.dispose]();
    },
  };
}

function messages(
  call: grpc.ClientReadableStream<Buffer>,
): Promise<{ list: string[]; status: grpc.StatusObject }> {
  return new Promise((resolve) => {
    const list: string[] = [];
    call.on("data", (message: Buffer) => list.push(message.toString()));
    call.on("error", () => {});
    call.on("status", (status) => resolve({ list, status }));
  });
}

test("unary: message, metadata, trailers", async () => {
  using echoing = await echoServer();
  const metadata = new grpc.Metadata();
  metadata.set("x-in", "1");
  const big = Buffer.alloc(3_000_000, "x");
  for (const sent of [Buffer.from("hello"), Buffer.alloc(0), big]) {
    const done = Promise.withResolvers<Buffer>();
    const call = echoing.client.unary(sent, metadata, (error, message) => {
      if (error === null) done.resolve(message ?? Buffer.alloc(0));
      else done.reject(error);
    });
    const head = new Promise<grpc.Metadata>((resolve) => call.on("metadata", resolve));
    const status = new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve));
    expect((await done.promise).equals(sent)).toBe(true);
    expect((await head).get("x-head")).toEqual(["1"]);
    expect((await status).metadata.get("x-tail")).toEqual(["2"]);
  }
  expect((await Promise.all(echoing.sent)).every((sent) => sent.complete)).toBe(true);
  expect(echoing.gone).toEqual([]);
});

test("Trailers-Only: the status comes without a message", async () => {
  using echoing = await echoServer();
  const error = await new Promise<grpc.ServiceError | null>((resolve) => {
    echoing.client.refused(Buffer.from("x"), resolve);
  });
  expect(error).toMatchObject({ code: grpc.status.NOT_FOUND, details: "no such" });
});

test("server, client and bidirectional streams", async () => {
  using echoing = await echoServer();
  const down = await messages(echoing.client.down(Buffer.from("d")));
  expect(down).toMatchObject({ list: ["d", "d"], status: { code: 0 } });

  const up = Promise.withResolvers<string>();
  const writing = echoing.client.up((error, message) => up.resolve(error?.details ?? message!.toString()));
  writing.write(Buffer.from("one"));
  writing.end();
  expect(await up.promise).toBe("one");

  const both = echoing.client.both();
  const answers = messages(both);
  // Each message comes back before the next one goes.
  for (const text of ["a", "b", "c"]) {
    const back = new Promise((resolve) => both.once("data", resolve));
    both.write(Buffer.from(text));
    await back;
  }
  both.end();
  expect(await answers).toMatchObject({ list: ["a", "b", "c"], status: { code: 0 } });
});

test("metadata beyond the limit are RESOURCE_EXHAUSTED, and another call on the connection goes on", async () => {
  using echoing = await echoServer();
  const both = echoing.client.both();
  const answers = messages(both);
  const metadata = new grpc.Metadata();
  for (const name of ["x-a", "x-b", "x-c"]) metadata.set(name, "m".repeat(40_000));
  const refused = await new Promise<grpc.ServiceError | null>((resolve) => {
    echoing.client.unary(Buffer.from("x"), metadata, resolve);
  });
  expect(refused?.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  both.write(Buffer.from("still there"));
  both.end();
  expect(await answers).toMatchObject({ list: ["still there"], status: { code: 0 } });
  expect(echoing.served.listener.connections).toBe(1);
});

test("a call that the client cancels, or whose deadline passes, is gone here, too", async () => {
  using echoing = await echoServer();
  const cancelled = echoing.client.silent(Buffer.from("x"));
  cancelled.on("metadata", () => cancelled.cancel());
  expect((await messages(cancelled)).status.code).toBe(grpc.status.CANCELLED);
  await eventually(() => echoing.gone.length === 1);
  const late = echoing.client.silent(Buffer.from("x"), { deadline: Date.now() + 30 });
  expect((await messages(late)).status.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  await eventually(() => echoing.gone.length === 2);
  expect(echoing.gone).toEqual(["client_closed", "client_closed"]);
  const sent = await Promise.all(echoing.sent);
  expect(sent.map((each) => each.complete)).toEqual([false, false]);
});

test("many calls at once on one connection", async () => {
  using echoing = await echoServer();
  const calls = Array.from({ length: 300 }, (_, i) => {
    return new Promise<string>((resolve) => {
      const message = Buffer.from(`call ${i}`);
      echoing.client.unary(message, new grpc.Metadata(), (error, back) => {
        resolve(error?.details ?? back!.toString());
      });
    });
  });
  const answers = await Promise.all(calls);
  expect(answers).toEqual(answers.map((_, i) => `call ${i}`));
  expect(echoing.served.listener.connections).toBe(1);
});
