import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/*
 * Programs on Node that send as fast as they are let, and read slowly.
 *
 *   serve BYTES RATE                                an upstream; the line on stdout has its ports
 *   load BYTES RATE PORT http1|http2 GET|POST SIZED a client; the line has the digest of what came back, or was taken
 *   sum BYTES 0                                     the line has the digest of what is sent
 *
 * RATE is bytes a second at which they read; SIZED is `sized` where the body's length is announced.
 */

const [role, bytes = "0", rate = "0", port, protocol, method = "GET", sized] = process.argv.slice(2);
const size = Number(bytes);
const PIECE = 65_536;

/** `size` bytes, of which no two pieces are the same. */
function* pieces(): Generator<Buffer> {
  for (let at = 0; at < size; at += PIECE) {
    const piece = Buffer.alloc(Math.min(PIECE, size - at), `${at} `);
    yield piece;
  }
}

interface Received {
  readonly digest: string;
  /** Its beginning. */
  readonly text: string;
}

/** Reads to the end, slowly. */
async function receive(from: Readable): Promise<Received> {
  const hash = createHash("sha1");
  let text = "";
  for await (const chunk of from as AsyncIterable<Buffer>) {
    hash.update(chunk);
    if (text.length < 100) text += chunk.toString("latin1", 0, 100);
    await new Promise((resolve) => setTimeout(resolve, (chunk.byteLength / Number(rate)) * 1_000));
  }
  return { digest: hash.digest("hex"), text };
}

async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (incoming.method === "GET") {
    if (incoming.url === "/sized") outgoing.setHeader("content-length", String(size));
    await pipeline(pieces, outgoing);
  } else outgoing.end((await receive(incoming)).digest);
}

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

async function overHttp1(): Promise<Received> {
  const headers = method === "POST" && sized === "sized" ? { "content-length": bytes } : {};
  const out = request({ host: "127.0.0.1", port: Number(port), method, path: `/${sized ?? ""}`, headers });
  const came = new Promise<IncomingMessage>((resolve, reject) => {
    out.on("response", resolve).on("error", reject);
  });
  if (method === "POST") await pipeline(pieces, out);
  else out.end();
  return receive(await came);
}

async function overHttp2(): Promise<Received> {
  const session = connect(`http://127.0.0.1:${port}`);
  const length = method === "POST" && sized === "sized" ? { "content-length": bytes } : {};
  const stream = session.request({ ":method": method, ":path": `/${sized ?? ""}`, ...length });
  if (method === "POST") await pipeline(pieces, stream);
  const received = await receive(stream);
  session.close();
  return received;
}

const tell = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
if (role === "serve") {
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse): void =>
    void answer(incoming, outgoing);
  // Both have what is used of them, and their types do not agree on the rest.
  const http2 = createHttp2Server(serve as unknown as Parameters<typeof createHttp2Server>[1]);
  tell({ http1: await listening(createServer(serve)), http2: await listening(http2) });
} else if (role === "sum") {
  const hash = createHash("sha1");
  for (const piece of pieces()) hash.update(piece);
  tell(hash.digest("hex"));
} else {
  const { digest, text } = await (protocol === "http2" ? overHttp2() : overHttp1());
  tell(method === "POST" ? text : digest);
}
