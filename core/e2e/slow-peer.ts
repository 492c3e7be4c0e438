import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

/*
 * Programs on Node that send as fast as they are let, and read slowly.
 *
 *   serve BYTES RATE                                an upstream; the line on stdout has its ports
 *   load BYTES RATE PORT http1|http2 GET|POST SIZED a client; the line has how many bytes came back, or were taken
 *
 * RATE is bytes a second at which they read; SIZED is `sized` where the body's length is announced.
 */

const [role, bytes = "0", rate = "0", port, protocol, method = "GET", sized] = process.argv.slice(2);
const size = Number(bytes);
const piece = Buffer.alloc(65_536, "x");

/** Writes `size` bytes, no faster than they are taken. */
async function send(out: Writable): Promise<void> {
  await pipeline(function* () {
    for (let left = size; left > 0; left -= piece.byteLength)
      yield left < piece.byteLength ? piece.subarray(0, left) : piece;
  }, out);
}

/** Reads to the end, slowly. Answers how much there was, and the text where it is short. */
async function receive(from: Readable): Promise<{ bytes: number; text: string }> {
  let total = 0;
  let text = "";
  for await (const chunk of from as AsyncIterable<Buffer>) {
    total += chunk.byteLength;
    if (total < 100) text += chunk.toString();
    await new Promise((resolve) => setTimeout(resolve, (chunk.byteLength / Number(rate)) * 1_000));
  }
  return { bytes: total, text };
}

async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (incoming.method === "GET") {
    if (incoming.url === "/sized") outgoing.setHeader("content-length", String(size));
    await send(outgoing);
  } else outgoing.end(String((await receive(incoming)).bytes));
}

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

async function overHttp1(): Promise<{ bytes: number; text: string }> {
  const headers = method === "POST" && sized === "sized" ? { "content-length": bytes } : {};
  const out = request({ host: "127.0.0.1", port: Number(port), method, path: `/${sized ?? ""}`, headers });
  const came = new Promise<IncomingMessage>((resolve, reject) => {
    out.on("response", resolve).on("error", reject);
  });
  if (method === "POST") await send(out);
  else out.end();
  return receive(await came);
}

async function overHttp2(): Promise<{ bytes: number; text: string }> {
  const session = connect(`http://127.0.0.1:${port}`);
  const length = method === "POST" && sized === "sized" ? { "content-length": bytes } : {};
  const stream = session.request({ ":method": method, ":path": `/${sized ?? ""}`, ...length });
  if (method === "POST") await send(stream);
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
} else {
  const { bytes: came, text } = await (protocol === "http2" ? overHttp2() : overHttp1());
  tell(method === "POST" ? Number(text) : came);
}
