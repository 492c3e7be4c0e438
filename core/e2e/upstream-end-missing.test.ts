import { afterAll, beforeAll, expect, test } from "bun:test";
import { RawClient } from "../http1/test-server.ts";
import { HEADERS } from "../http2/frames.ts";
import { h2Peer, type H2PeerConnection, type SeenFrame } from "../upstream/test-h2-peer.ts";
import { type Binary, startBinary } from "./binary.ts";

/*
 * An HTTP/2 upstream that is gone before it has said that its answer is over, on the compiled binary: with the last byte
 * that Content-Length announced an HTTP/1.1 client has a whole answer (RFC 9112 §6.3), and may have sent its next request.
 */

let gateway: Binary;
let begun: H2PeerConnection | undefined;
const upstream = h2Peer({ frame: answer });

function answer(session: H2PeerConnection, { type, stream }: SeenFrame): void {
  if (type !== HEADERS) return;
  session.head(stream, [
    [":status", "200"],
    ["content-length", "5"],
  ]);
  session.data(stream, begun === undefined ? "first" : "other", begun !== undefined);
  begun ??= session;
}

beforeAll(async () => {
  gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
upstreams:
  h2: { protocol: http2, targets: ["http://127.0.0.1:${upstream.port}"] }
routes:
  - { match: { path: /* }, upstream: h2 }
`);
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  upstream[Symbol.dispose]();
});

test("the client's next request is answered", async () => {
  const client = await RawClient.connect(gateway.port, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await client.until("first");
  await client.send("POST /next HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
  begun?.raw.reset();
  await client.until("other");
  expect(client.end).toBeUndefined();
  client.reset();
});
