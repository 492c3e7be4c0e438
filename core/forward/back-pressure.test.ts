import { expect, test } from "bun:test";
import { createServer, type Http2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Writable } from "node:stream";
import { harness } from "./test-harness.ts";
import { through } from "./test-through.ts";

/* HTTP/2 on both sides: a sender stops as soon as the other end does, and nothing is lost by it. */

const TOTAL = 64 * 1_048_576;
const PIECE = Buffer.alloc(65_536, "x");
/** What may lie between the two ends: windows of 256 KiB, queues of 64 KiB and the buffers of four sockets. */
const BETWEEN = 4 * 1_048_576;

/** Writes `TOTAL` bytes as fast as they are taken. */
class Source {
  #written = 0;
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
    this.#write();
  }

  /** Bytes that have left. */
  get taken(): number {
    return this.#written - this.#stream.writableLength;
  }

  #write(): void {
    while (this.#written < TOTAL) {
      this.#written += PIECE.byteLength;
      if (this.#stream.write(PIECE)) continue;
      this.#stream.once("drain", () => this.#write());
      return;
    }
    this.#stream.end();
  }
}

/** PINGs on every connection that in turn find nothing new: more than there are hops on the way and back. */
const QUIET = 6;

/**
 * How much had left when nothing more did. Whoever answers a PING has read what was sent before it, and has sent what it
 * allows for that (RFC 9113 §6.7): where a machine is slow, this takes longer and finds the same.
 */
async function standstill(source: Source, sessions: readonly Http2Session[]): Promise<number> {
  let before = -1;
  for (let quiet = 0; quiet < QUIET;) {
    for (const session of sessions) await pinged(session);
    quiet = source.taken === before ? quiet + 1 : 0;
    before = source.taken;
  }
  return before;
}

function pinged(session: Http2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping((error) => (error === null ? resolve() : reject(error)));
  });
}

test("an answer to a client that does not read, and an upload to an upstream that does not", async () => {
  const answering = Promise.withResolvers<Source>();
  const taking = Promise.withResolvers<() => void>();
  const upstream = createServer((request, response) => {
    if (request.method === "GET") {
      answering.resolve(new Source(response));
      return;
    }
    request.pause();
    taking.resolve(() => {
      let bytes = 0;
      request.on("data", (chunk: Buffer) => (bytes += chunk.byteLength));
      request.on("end", () => response.end(String(bytes)));
      request.resume();
    });
  });
  const sessions: Http2Session[] = [];
  upstream.on("session", (session) => void sessions.push(session));
  await new Promise<void>((resolve) => void upstream.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  await using gate = harness({ u: { url, protocol: "http2" } });
  using gateway = await through(gate, { body: 2 * TOTAL });
  sessions.push(gateway.session);

  const get = gateway.session.request({ ":path": "/u" });
  get.pause();
  expect(await standstill(await answering.promise, sessions)).toBeLessThan(BETWEEN);
  let read = 0;
  for await (const chunk of get) read += (chunk as Buffer).byteLength;
  expect(read).toBe(TOTAL);

  const post = gateway.session.request({ ":method": "POST", ":path": "/u" }, { endStream: false });
  const source = new Source(post);
  const take = await taking.promise;
  expect(await standstill(source, sessions)).toBeLessThan(BETWEEN);
  take();
  let told = "";
  for await (const chunk of post) told += String(chunk);
  expect(told).toBe(String(TOTAL));
  upstream.close();
});
