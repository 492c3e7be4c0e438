import { expect, test } from "bun:test";
import { JSON_ANSWER } from "../origins/json-messages.ts";
import { startSseOrigin } from "../origins/sse-origin.ts";
import { holdConnections, holdStreams } from "./hold.ts";

/** A server that answers everything, and knows who is there. */
function serve(): Disposable & { readonly port: number; readonly open: Set<Bun.Socket> } {
  const open = new Set<Bun.Socket>();
  const head = `HTTP/1.1 200 OK\r\ncontent-length: ${JSON_ANSWER.byteLength}\r\n\r\n`;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        open.add(socket);
        socket.write(Buffer.concat([Buffer.from(head), JSON_ANSWER]));
      },
      close: (socket) => void open.delete(socket),
    },
  });
  return { port: server.port, open, [Symbol.dispose]: () => server.stop(true) };
}

test("connections are open until they are let go", async () => {
  using server = serve();
  const all = { port: server.port, path: "/", connections: 70, expected: JSON_ANSWER };
  using held = await holdConnections(all);
  expect(server.open.size).toBe(70);
  held.check();
  const [first] = server.open;
  first!.terminate();
  // Another one's round trip: by then the end of that one has been seen.
  using other = await holdConnections({ ...all, connections: 1 });
  other.check();
  expect(() => held.check()).toThrow("1 of 70 were not held");
});

test("a wrong answer is not held", async () => {
  using server = serve();
  const held = holdConnections({ port: server.port, path: "/", connections: 3, expected: Buffer.from("x") });
  expect(await held.catch(String)).toContain("more than 1 bytes");
});

test("streams are held after their first event, and only where they do not end", async () => {
  await using origin = await startSseOrigin();
  using held = await holdStreams({ port: origin.port, streams: 50 });
  held.check();
  using short = await holdStreams({ port: origin.port, path: "/events?count=1&every=1", streams: 2 });
  expect(() => short.check()).toThrow("2 of 2 were not held, the first: 1 of 1000000 events");
});
