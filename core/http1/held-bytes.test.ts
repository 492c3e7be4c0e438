import { expect, test } from "bun:test";
import { BytesBody, HeaderList } from "sluice/plugin";
import type { Inbound } from "../listener/inbound.ts";
import { eventually, testServer } from "./test-server.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

/** What a body holds, as text. */
async function textOf({ body }: Inbound): Promise<string> {
  let text = "";
  for (;;) {
    const chunk = (await body?.read()) ?? null;
    if (chunk === null) return text;
    text += Buffer.from(chunk).toString("latin1");
  }
}

test.each([
  ["by its length", "Content-Length: 5\r\n\r\nhe", ["l", "lo"]],
  ["in chunks", "Transfer-Encoding: chunked\r\n\r\n2\r\nh", ["e\r\n3", "\r\nllo\r\n0\r\n", "\r\n"]],
])("a request sent ahead in several pieces is read whole: %s", async (_, begin, rest) => {
  const waiting: Inbound[] = [];
  using server = testServer(async (inbound) => {
    if (inbound.method === "GET") waiting.push(inbound);
    else await inbound.respond(200, new HeaderList(), new BytesBody(bytes(`got ${await textOf(inbound)}`)));
  });
  const client = await server.connect("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await eventually(() => waiting.length === 1);
  // Each piece as the socket hands it over.
  const { owner } = server.wires[0]!;
  for (const piece of [`POST / HTTP/1.1\r\nHost: x\r\n${begin}`, ...rest]) owner.data(bytes(piece));
  owner.data(bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await waiting[0]!.respond(204, new HeaderList(), null);
  await client.until("got hello");
  await eventually(() => waiting.length === 2);
  expect(client.received).toStartWith("HTTP/1.1 204");
});
