import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Body, BytesBody, HeaderList } from "sluice/plugin";
import type { Inbound } from "../listener/inbound.ts";
import { copyOf, encodeChunk, encodeLastChunk, encodeRequest, encodeResponse } from "./encoder.ts";
import { CHUNKED, UNTIL_CLOSE } from "./framing.ts";
import { receive, verdict } from "./test-answers.ts";
import { bytesOf, cutAt, cuts, outcome } from "./test-messages.ts";
import { memoryServer, MemoryWire } from "./test-wire.ts";

/* However a connection's bytes are cut into pieces, they mean the same. */

const sha = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("base64");

async function bytesIn(body: Body | null): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let piece = await body?.read(); piece; piece = await body!.read()) pieces.push(piece.slice());
  return Buffer.concat(pieces);
}

/** What a server makes of a connection's bytes: one line a request, then what it wrote. */
async function serve(pieces: readonly Uint8Array[]): Promise<unknown> {
  const seen: string[] = [];
  let running = 0;
  const server = memoryServer(async (inbound: Inbound) => {
    running++;
    const { method, rawTarget, httpVersion, authority, headers } = inbound;
    const facts = `${method} ${rawTarget} ${httpVersion} ${authority} ${headers.flat.join("|")}`;
    try {
      const body = await bytesIn(inbound.body);
      seen.push(`${facts} ${sha(body)} ${inbound.body?.trailers?.flat.join("|")}`);
      await inbound.respond(200, new HeaderList(), new BytesBody(bytesOf(rawTarget)));
    } catch (error) {
      seen.push(`${facts} ${String(error)}`);
      await inbound.respond(400, new HeaderList(), null);
    }
    running--;
  });
  const wire = new MemoryWire(server);
  for (const piece of pieces) if (wire.ended === undefined) wire.owner.data(piece);
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 500 && running > 0; i++) await Promise.resolve();
  };
  await settle();
  // What still waits, waits for bytes that do not come.
  if (running > 0) wire.owner.ended();
  await settle();
  server.destroy();
  return { seen, written: wire.written, ended: wire.ended };
}

const SHORT = [
  "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
  "\r\nHEAD / HTTP/1.0\r\n\r\n",
  "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\nHost: h\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\nGET /x",
  "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nA : b\r\n\r\n",
  "GET / HTTP/1.1\nHost: h\n\n",
];
const LONG = [
  `POST /one HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX: ${"y".repeat(50)}\r\n\r\n5;a="b"\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nSum: 1\r\n\r\nDELETE /two?x=y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n`,
  "POST /one HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4 \r\nabcd\r\n0\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n",
];

test.each([...SHORT, ...LONG])("a connection of %j is served alike for every cut in two", async (text) => {
  // Whether leave is asked for before the body came is a matter of time.
  const plain = async (pieces: readonly Uint8Array[]): Promise<string> =>
    JSON.stringify(await serve(pieces)).replace("HTTP/1.1 100 Continue\\r\\n\\r\\n", "");
  const whole = await plain([bytesOf(text)]);
  for (const pieces of cuts(bytesOf(text))) expect(await plain(pieces)).toBe(whole);
});

test.each(SHORT)("a connection of %j is served alike for every cut in three", async (text) => {
  const bytes = bytesOf(text);
  const whole = JSON.stringify(await serve([bytes]));
  for (let i = 1; i < bytes.byteLength; i++) {
    for (let j = i + 1; j < bytes.byteLength; j++)
      expect(JSON.stringify(await serve(cutAt(bytes, [i, j])))).toBe(whole);
  }
});

const ANSWERS = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 103 E\r\nLink: a\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil close",
  "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\nHTTP/1.1 200 OK",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n c\r\n\r\n",
  "HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\nhello",
];

test.each(ANSWERS)("an answer of %j is read alike for every cut in two and in three", (text) => {
  const bytes = bytesOf(text);
  const read = (pieces: readonly Uint8Array[]): string => JSON.stringify(outcome(() => receive(pieces)));
  const whole = read([bytes]);
  for (const pieces of cuts(bytes)) expect(read(pieces)).toBe(whole);
  for (let i = 1; i < bytes.byteLength; i++) {
    for (let j = i + 1; j < bytes.byteLength; j++) expect(read(cutAt(bytes, [i, j]))).toBe(whole);
  }
});

const field = fc.tuple(
  fc.stringMatching(/^x-[a-z0-9-]{1,12}$/),
  fc.stringMatching(/^[!-~\xa1-\xff]([\t -~\xa1-\xff]{0,20}[!-~\xa1-\xff])?$/),
);
const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 9000 }), { maxLength: 6 });
const message = fc.record({
  fields: fc.array(field, { maxLength: 8 }),
  trailers: fc.array(field, { maxLength: 3 }),
  body: bodies,
  framing: fc.constantFrom("length", "chunked", "none"),
});
const places = fc.array(fc.nat(70_000), { maxLength: 20 });

interface Message {
  readonly fields: [string, string][];
  readonly trailers: [string, string][];
  readonly body: Uint8Array[];
  readonly framing: string;
}

/** A message's framing and its body as they go over the wire. */
function onTheWire({ framing, body, trailers }: Message, none: number): [framing: number, bytes: Uint8Array] {
  if (framing === "none") return [none, none === UNTIL_CLOSE ? Buffer.concat(body) : new Uint8Array(0)];
  const whole = Buffer.concat(body);
  if (framing === "length") return [whole.byteLength, whole];
  return [
    CHUNKED,
    Buffer.concat([
      ...body.map((one) => copyOf(encodeChunk(one))),
      encodeLastChunk(HeaderList.from(trailers)),
    ]),
  ];
}

test("random requests, one behind the other, in random pieces, arrive as they were sent", async () => {
  const request = fc.tuple(
    fc.stringMatching(/^[A-Z]{3,7}$/).filter((method) => method !== "CONNECT" && method !== "HEAD"),
    fc.stringMatching(/^\/[!-"$-~]{0,30}$/),
    message,
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: 1, maxLength: 5 }),
      places,
      async (requests, cutPlaces) => {
        const wire: Uint8Array[] = [];
        const expected: string[] = [];
        for (const [method, target, sent] of requests) {
          const [framing, body] = onTheWire(sent, -1);
          const headers = HeaderList.from(sent.fields);
          wire.push(
            copyOf(encodeRequest({ method, target, authority: "h", headers, framing, connection: "" })),
            body,
          );
          const trailers =
            framing === CHUNKED && sent.trailers.length > 0 ? sent.trailers.flat().join("|") : undefined;
          const whole = sent.framing === "none" ? new Uint8Array(0) : Buffer.concat(sent.body);
          expected.push(`${method} ${target} 1.1 h ${headers.flat.join("|")} ${sha(whole)} ${trailers}`);
        }
        const { seen } = (await serve(cutAt(Buffer.concat(wire), cutPlaces))) as { seen: string[] };
        expect(seen).toEqual(expected);
      },
    ),
    { numRuns: 300 },
  );
});

test("random answers in random pieces arrive as they were sent", () => {
  fc.assert(
    fc.property(fc.integer({ min: 205, max: 303 }), message, places, (status, sent, cutPlaces) => {
      const [framing, body] = onTheWire(sent, UNTIL_CLOSE);
      const headers = HeaderList.from(sent.fields);
      const head = encodeResponse({ status, headers, framing, connection: "", date: "" });
      const received = receive(cutAt(Buffer.concat([copyOf(head), body]), cutPlaces));
      expect(received.head?.status).toBe(status);
      expect(sha(received.body)).toBe(sha(Buffer.concat(sent.body)));
      expect(verdict(received)).toBe(framing === UNTIL_CLOSE ? "whole, close" : "whole");
      const fields = received.head!.headers.flat;
      expect(fields.slice(0, headers.flat.length)).toEqual(headers.flat);
      if (framing === CHUNKED) expect(received.trailers ?? []).toEqual(sent.trailers.flat());
    }),
    { numRuns: 300 },
  );
});
