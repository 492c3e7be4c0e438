import { expect, test } from "bun:test";
import { BytesBody, collect, HeaderList } from "sluice/plugin";
import { createFakeClock, createMemoryLog } from "sluice/testing";
import { eventually, FACTS, LIMITS, refusal, settled, turns } from "../http1/test-server.ts";
import type { Wire } from "../http1/wire.ts";
import { CANCEL, HEADERS, INITIAL_WINDOW_SIZE, RST_STREAM } from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import { createHttp2Server } from "./h2-server.ts";
import {
  awaitFrame,
  contentOf,
  type Fields,
  fieldsOf,
  framesOf,
  get,
  headers,
  hello,
  pong,
  send,
  setting,
  windowUpdate,
} from "./test-h2-client.ts";
import { testListener } from "./test-listener.ts";

/* Connections whose wire is behind, or whose windows are small for what is to be sent. */

const ENDLESS = [setting(INITIAL_WINDOW_SIZE, 2 ** 30), windowUpdate(0, 2 ** 30)];
const EXPECTING: Fields = [
  ...[[":method", "POST"] as const, [":path", "/"] as const, [":scheme", "http"] as const],
  ...[[":authority", "a.test"] as const, ["expect", "100-continue"] as const],
];

test("reading goes on after a burst of heads that a wire took in one piece", async () => {
  const server = createHttp2Server({
    handler: {
      handle: (inbound) => void inbound.respond(204, new HeaderList(["x-long", "y".repeat(12_000)]), null),
      rejected: refusal,
    },
    limits: () => LIMITS,
    clock: createFakeClock(),
    log: createMemoryLog(),
  });
  let written = 0;
  let paused = false;
  // TLS behind a PROXY header is one that takes all it is given.
  const wire: Wire = {
    write: (bytes, length = bytes.byteLength) => ((written += length), length),
    pause: () => (paused = true),
    resume: () => (paused = false),
    end() {},
    close() {},
    destroy() {},
  };
  const requests = Array.from({ length: 100 }, (_, i) => headers(1 + 2 * i, get()));
  const owner = server.accept(wire, FACTS, hello(...requests));
  await turns(2);
  expect(written).toBeGreaterThan(1_200_000);
  expect(paused).toBe(false);
  owner.closed();
});

test("a client that waits for 100 is told to go on, however much waits for the wire", async () => {
  using served = await testListener(async (inbound) => {
    if (inbound.method === "GET") {
      void inbound.respond(200, new HeaderList(), new BytesBody(Buffer.alloc(20_000_000)));
      return;
    }
    await collect(inbound.body, 1e6).catch(() => {});
  });
  const client = await served.connect();
  client.pause();
  await client.send(hello(...ENDLESS, headers(1, get())));
  await turns(50);
  await client.send(headers(3, EXPECTING, true));
  await turns(50);
  client.resume();
  const told = await awaitFrame(client, ({ stream, type }) => stream === 3 && type === HEADERS);
  expect(fieldsOf(told)).toEqual({ ":status": "100" });
  client.reset();
});

test("an answer that waits for its turn is not taken for one that nobody reads", async () => {
  using served = await testListener((inbound) =>
    inbound.respond(200, new HeaderList(), new BytesBody(Buffer.alloc(100_000))),
  );
  const streams = [1, 3, 5, 7, 9];
  const open = setting(INITIAL_WINDOW_SIZE, 2 ** 30);
  const client = await send(served, open, ...streams.map((stream) => headers(stream, get())));
  await pong(client);
  // All take what there is, a little at a time: it is longer than the timeout until it is each one's turn.
  for (let i = 0; i < 8; i++) {
    await served.clock.advance(LIMITS.idleTimeout * 0.7);
    await client.send(windowUpdate(0, 10));
    await pong(client);
  }
  expect(framesOf(client).filter(({ type }) => type === RST_STREAM)).toBeEmpty();
  await client.send(windowUpdate(0, 1_000_000));
  await client.until(() => streams.every((stream) => contentOf(client, stream).length === 100_000));
  client.reset();
});

test("an answer whose own window stays shut is one that nobody reads, whatever passes beside it", async () => {
  using served = await testListener((inbound) =>
    inbound.respond(200, new HeaderList(), new BytesBody(Buffer.alloc(1_000))),
  );
  const client = await send(served, setting(INITIAL_WINDOW_SIZE, 1), headers(1, get()), headers(3, get()));
  await pong(client);
  for (let i = 0; i < 3; i++) {
    await served.clock.advance(LIMITS.idleTimeout * 0.4);
    await client.send(windowUpdate(3, 10));
    await pong(client);
  }
  await awaitFrame(client, ({ type, stream }) => type === RST_STREAM && stream === 1);
  expect(framesOf(client).filter(({ type, stream }) => type === RST_STREAM && stream === 3)).toBeEmpty();
  client.reset();
});

test("who reads slowly gets all of the last answer while the connection ends", async () => {
  // The kernel holds it, the client does not.
  const size = 1_500_000;
  let complete: boolean | undefined;
  using served = await testListener(async (inbound) => {
    const body = new BytesBody(Buffer.alloc(size, "x"));
    complete = (await inbound.respond(200, new HeaderList(), body)).complete;
  });
  const client = await served.connect();
  await client.send(hello(...ENDLESS));
  await pong(client);
  client.pause();
  await client.send(headers(1, get()));
  await settled(() => Number(complete));
  served.listener.drain();
  for (let i = 0; i < 10; i++) {
    await served.clock.advance(500);
    await turns(1);
  }
  client.resume();
  await client.ended();
  expect([complete, contentOf(client).length, client.end]).toEqual([true, size, "fin"]);
});

test("what waits for the wire behind the last stream still arrives, also at a client that sent FIN", async () => {
  for (const finishes of [false, true]) {
    const size = 60_000;
    let complete = 0;
    using served = await testListener(async (inbound) => {
      const sent = await inbound.respond(200, new HeaderList(), new BytesBody(Buffer.alloc(size, "x")));
      if (sent.complete) complete++;
    });
    const client = await served.connect();
    await client.send(hello(...ENDLESS));
    await pong(client);
    client.pause();
    const streams = Array.from({ length: 120 }, (_, i) => 1 + 2 * i);
    await client.send(Buffer.concat(streams.map((id) => headers(id, get()))));
    // More than the kernel takes: some are complete, of which the last wait here. Nobody wants the others.
    await settled(() => complete);
    expect(complete).toBeLessThan(120);
    const reset = (id: number) => frame(RST_STREAM, 0, id, Buffer.of(0, 0, 0, CANCEL));
    await client.send(Buffer.concat(streams.map(reset)));
    served.listener.drain();
    for (let i = 0; i < 10; i++) {
      await served.clock.advance(500);
      await turns(2);
      if (i === 5 && finishes) client.finish();
    }
    client.resume();
    await client.ended();
    expect(client.end).toBe("fin");
    const whole = streams.filter((id) => contentOf(client, id).length === size);
    expect(whole).toHaveLength(complete);
  }
});

test("who takes nothing of what is left is not waited for any longer than anybody else", async () => {
  using served = await testListener((inbound) =>
    inbound.respond(200, new HeaderList(), new BytesBody(Buffer.alloc(60_000, "x"))),
  );
  const client = await served.connect();
  client.pause();
  const requests = Array.from({ length: 120 }, (_, i) => headers(1 + 2 * i, get()));
  await client.send(hello(...ENDLESS, ...requests));
  await turns(100);
  served.listener.drain();
  await served.clock.advance(LIMITS.idleTimeout + 1_000);
  await turns(5);
  expect(served.listener.connections).toBe(1);
  await served.clock.advance(LIMITS.idleTimeout + 1_000);
  await eventually(() => served.listener.connections === 0);
  client.reset();
});
