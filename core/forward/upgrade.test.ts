import { expect, test } from "bun:test";
import type { Socket } from "bun";
import { collect, exchangeOf } from "sluice/plugin";
import { testGateway } from "../pipeline/test-gateway.ts";

/* An upgraded connection, between a client and an upstream that send exactly what they are told. */

const ASK = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nwelcome";

function echoUpstream(answer = SWITCHED) {
  let text = "";
  let socket: Socket | undefined;
  let ended = false;
  let closed = false;
  const server = Bun.listen({
    ...{ hostname: "127.0.0.1", port: 0, allowHalfOpen: true },
    socket: {
      open: (opened) => void (socket = opened),
      data(from, chunk) {
        const asked = text.includes("\r\n\r\n");
        text += chunk.toString("latin1");
        if (!asked && text.includes("\r\n\r\n")) from.write(answer);
      },
      end: () => void (ended = true),
      close: () => void (closed = true),
      error() {},
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    get socket() {
      return socket!;
    },
    /** What came, who ended. */
    seen: () => ({ text, ended, closed }),
    [Symbol.dispose]: () => server.stop(true),
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

test.each(["client", "upstream"])("each direction has its own end; the %s ends first", async (first) => {
  using upstream = echoUpstream();
  using gate = testGateway([{ path: "/*" }], { upstream: upstream.url });
  const client = await gate.connect(`${ASK}early`);
  await client.until("welcome");
  await until(() => upstream.seen().text.endsWith("early"));
  if (first === "client") {
    client.finish();
    await until(() => upstream.seen().ended);
    upstream.socket.write("bye");
    await client.until("bye");
    upstream.socket.shutdown();
    await client.ended();
  } else {
    upstream.socket.shutdown();
    await client.ended();
    await client.send("more");
    await until(() => upstream.seen().text.endsWith("more"));
    client.finish();
  }
  await gate.ended(1);
  expect(client.end).toBe("fin");
  expect(gate.finished[0]).toMatchObject({ sent: { complete: true }, failure: undefined });
  expect(gate.gateway.active).toBe(0);
  await until(() => upstream.seen().closed);
});

test("no timeout of the request holds for it", async () => {
  using upstream = echoUpstream();
  const timeouts = { firstByte: 1_000, idle: 1_000, request: 1_000 };
  using gate = testGateway([{ path: "/*" }], { upstream: upstream.url, timeouts });
  const client = await gate.connect(ASK);
  await client.until("welcome");
  await gate.clock.advance(600_000);
  await client.send("still here");
  await until(() => upstream.seen().text.endsWith("still here"));
  upstream.socket.write("as am I");
  await client.until("as am I");
});

test.each(["client", "upstream"])("the %s resets: the other side sees a broken connection", async (who) => {
  using upstream = echoUpstream();
  using gate = testGateway([{ path: "/*" }], { upstream: upstream.url });
  const client = await gate.connect(ASK);
  await client.until("welcome");
  if (who === "client") client.reset();
  else upstream.socket.terminate();
  await gate.ended(1);
  expect(gate.finished[0]!.sent.complete).toBe(false);
  await until(() => upstream.seen().closed);
  if (who === "upstream") {
    await client.ended();
    expect(client.end).toBe("reset");
  }
});

test("an upstream that ends and then goes away does not leave the client talking to nobody", async () => {
  using upstream = echoUpstream();
  using gate = testGateway([{ path: "/*" }], { upstream: upstream.url });
  const client = await gate.connect(ASK);
  await client.until("welcome");
  upstream.socket.shutdown();
  await client.ended();
  upstream.socket.terminate();
  await gate.ended(1);
  expect(gate.finished[0]!.sent.complete).toBe(false);
  expect(gate.gateway.active).toBe(0);
});

test("a body that a step keeps is not freed with the bytes of an upgrade behind it", async () => {
  using upstream = echoUpstream("");
  const kept: Uint8Array[] = [];
  using gate = testGateway(
    [
      {
        path: "/kept",
        steps: [
          async (c) => {
            kept.push((await collect(exchangeOf(c).request.body, 1_000))!);
            return c.text("kept");
          },
        ],
      },
      { path: "/*" },
    ],
    { upstream: upstream.url },
  );
  const early = "x".repeat(40_000);
  const client = await gate.connect(
    `POST /kept HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecret${ASK}${early}`,
  );
  await until(() => upstream.seen().text.includes("\r\n\r\n"));
  upstream.socket.write(SWITCHED);
  await until(() => upstream.seen().text.length > early.length);
  await client.until("welcome");
  expect(Buffer.from(kept[0]!).toString()).toBe("secret");
});
