import { describe, expect, test } from "bun:test";
import { type Body, BodyQueue, BytesBody, HeaderList, type SluiceError, StreamBody } from "sluice/plugin";
import type { Inbound, Sent } from "../listener/inbound.ts";
import { eventually, settled, testServer } from "./test-server.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const bytes = (text: string) => Buffer.from(text, "latin1");

function queue(): BodyQueue {
  return new BodyQueue({ pause() {}, resume() {}, cancelled() {} });
}

/** A body whose reads are answered from a list, at once; an Error in it is thrown. */
class ListBody implements Body {
  readonly length: number | undefined;
  readonly trailers = undefined;
  cancelled = false;
  /** Bytes in all. */
  readonly size: number;
  readonly #list: (string | Error)[];
  constructor(list: (string | Error)[], length?: number) {
    this.#list = list;
    this.length = length;
    this.size = list.reduce((size, item) => size + (item instanceof Error ? 0 : item.length), 0);
  }
  read(): Uint8Array | null {
    const next = this.#list.shift();
    if (next instanceof Error) throw next;
    return next === undefined ? null : bytes(next);
  }
  cancel(): void {
    this.cancelled = true;
  }
}

/** What one request is answered with, the bytes on the wire in front, without the date. */
async function exchange(request: string, answer: (inbound: Inbound) => Sent | Promise<Sent>) {
  let sent: Sent | Promise<Sent> | undefined;
  using server = testServer((inbound) => (sent = answer(inbound)));
  const client = await server.connect(request);
  client.finish();
  const received = (await client.ended()).replace(/date: [^\r]+\r\n/, "");
  return { received, end: client.end, sent: await sent };
}

describe("framing of an answer", () => {
  test.each([
    ["a body in memory", GET, 200, [], new BytesBody(bytes("hello")), "content-length: 5\r\n\r\nhello"],
    ["an empty body", GET, 200, [], new BytesBody(bytes("")), "content-length: 0\r\n\r\n"],
    ["no body", GET, 200, [], null, "content-length: 0\r\n\r\n"],
    [
      "a known length in two pieces",
      GET,
      200,
      [],
      new ListBody(["he", "llo"], 5),
      "content-length: 5\r\n\r\nhello",
    ],
    [
      "a length among the headers that is another body's",
      GET,
      200,
      ["content-length", "3"],
      new ListBody(["hello"]),
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
    [
      "a wrong length among the headers",
      GET,
      200,
      ["content-length", "9"],
      new BytesBody(bytes("hello")),
      "content-length: 5\r\n\r\nhello",
    ],
    [
      "an unknown length",
      GET,
      200,
      [],
      new ListBody(["he", "llo"]),
      "transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
    [
      "an unknown length without a byte",
      GET,
      200,
      [],
      new ListBody([]),
      "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "framing fields of somebody else",
      GET,
      200,
      ["transfer-encoding", "gzip", "connection", "x"],
      new BytesBody(bytes("a")),
      "content-length: 1\r\n\r\na",
    ],
    [
      "204 with a body",
      GET,
      204,
      ["content-length", "3"],
      new BytesBody(bytes("abc")),
      "204 No Content\r\n\r\n",
    ],
    ["304 with a length", GET, 304, ["content-length", "7"], null, "content-length: 7\r\n\r\n"],
    ["304 without one", GET, 304, [], null, "304 Not Modified\r\n\r\n"],
    [
      "HEAD with a length among the headers",
      GET.replace("GET", "HEAD"),
      200,
      ["content-length", "7"],
      null,
      "content-length: 7\r\n\r\n",
    ],
    [
      "HEAD with a body",
      GET.replace("GET", "HEAD"),
      200,
      [],
      new BytesBody(bytes("hello")),
      "content-length: 5\r\n\r\n",
    ],
    ["HEAD with nothing known", GET.replace("GET", "HEAD"), 200, [], null, "200 OK\r\n\r\n"],
    ["a status nobody registered", GET, 799, [], null, "HTTP/1.1 799 \r\ncontent-length: 0\r\n\r\n"],
  ])("%s", async (_, request, status, fields, body, end) => {
    const carried = body instanceof ListBody ? body.size : 0;
    const { received, sent } = await exchange(request, (i) =>
      i.respond(status, new HeaderList(fields), body),
    );
    expect(received).toEndWith(end);
    expect(received).not.toContain("connection:");
    const payload = end.includes("chunked") ? carried : (end.split("\r\n\r\n")[1] ?? "").length;
    expect(sent).toMatchObject({ complete: true, error: undefined, bytes: payload });
  });

  test("trailers follow a chunked body", async () => {
    const { received, sent } = await exchange(GET, (inbound) => {
      const body = queue();
      const done = inbound.respond(200, new HeaderList(), body);
      body.push(bytes("hi"));
      body.end(new HeaderList(["grpc-status", "0", "x-sum", "\xe9"]));
      return done;
    });
    expect(received).toEndWith("2\r\nhi\r\n0\r\ngrpc-status: 0\r\nx-sum: \xe9\r\n\r\n");
    expect(sent?.bytes).toBe(2);
  });

  test.each([
    ["GET / HTTP/1.0\r\n\r\n", "connection: close\r\n\r\nhello"],
    ["GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "connection: close\r\n\r\nhello"],
  ])("%j: a body of unknown length ends with the connection", async (request, end) => {
    const { received, end: how } = await exchange(request, (i) =>
      i.respond(200, new HeaderList(), new ListBody(["hello"])),
    );
    expect(received).toEndWith(end);
    expect(received).not.toContain("transfer-encoding");
    expect(how).toBe("fin");
  });

  test("HTTP/1.0 keeps its connection where it asked for that and the length is known", async () => {
    using server = testServer((i) => i.respond(200, new HeaderList(), new BytesBody(bytes("hello"))));
    const client = await server.connect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    await client.until("hello");
    expect(client.received).toContain("connection: keep-alive\r\n");
    await client.send("GET / HTTP/1.0\r\n\r\n");
    expect(await client.ended()).toEndWith("connection: close\r\n\r\nhello");
  });

  test("a date is added once, and only where there is none", async () => {
    using server = testServer((i) =>
      i.respond(200, new HeaderList(i.rawTarget === "/own" ? ["date", "then"] : []), null),
    );
    const client = await server.connect(GET);
    await client.until("\r\n\r\n");
    expect(client.received).toContain("date: Tue, 14 Nov 2023 22:13:20 GMT\r\n");
    await client.send("GET /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect((await client.ended()).split("date: then\r\n")).toHaveLength(2);
  });
});

describe("streaming", () => {
  test("the head leaves before the body has begun, each piece as it comes", async () => {
    const body = queue();
    using server = testServer((inbound) => inbound.respond(200, new HeaderList(), body));
    const client = await server.connect(GET);
    await client.until("\r\n\r\n");
    for (const event of ["one", "two", "three"]) {
      body.push(bytes(event));
      await client.until(`${event}\r\n`);
    }
    expect(client.end).toBeUndefined();
    body.end();
    await client.until("0\r\n\r\n");
  });

  test("what is at hand leaves in one write", async () => {
    let pieces = 0;
    const client = await (async () => {
      const server = testServer((i) => i.respond(200, new HeaderList(), new ListBody(["a", "b", "c"])));
      const raw = await server.connect();
      const wire = server.wires[0]!;
      const write = wire.write.bind(wire);
      wire.write = (chunk) => {
        pieces++;
        return write(chunk);
      };
      await raw.send(GET);
      await raw.until("0\r\n\r\n");
      server[Symbol.dispose]();
      return raw;
    })();
    expect(client.received).toContain("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n");
    expect(pieces).toBe(1);
  });

  test("a client that does not read stops the body; one that reads again gets every byte", async () => {
    const piece = new Uint8Array(65_536).fill(0x61);
    let pulled = 0;
    const total = 64 * 1_048_576;
    const body: Body = {
      length: total,
      trailers: undefined,
      read() {
        if (pulled === total) return null;
        pulled += piece.byteLength;
        return piece;
      },
      cancel() {},
    };
    let sent: Sent | undefined;
    using server = testServer(async (inbound) => (sent = await inbound.respond(200, new HeaderList(), body)));
    const client = await server.connect();
    client.pause();
    await client.send(GET);
    await eventually(() => pulled > 0);
    await settled(() => pulled);
    expect(pulled).toBeLessThan(total / 2);
    client.resume();
    await client.until((c) => c.received.length > total);
    await eventually(() => sent !== undefined);
    expect(sent).toMatchObject({ bytes: total, complete: true });
  });

  test("a Fetch stream works as a body", async () => {
    const { received } = await exchange(GET, (inbound) =>
      inbound.respond(200, new HeaderList(), new StreamBody(new Response("streamed").body!)),
    );
    expect(received).toEndWith("8\r\nstreamed\r\n0\r\n\r\n");
  });
});

describe("a broken answer never looks complete", () => {
  test.each([
    ["chunked, failing at once", () => new ListBody([new Error("x")])],
    ["chunked, failing later", () => new ListBody(["hello", new Error("x")])],
    ["shorter than its length", () => new ListBody(["hell"], 5)],
    ["longer than its length in one piece", () => new ListBody(["hello!"], 5)],
    ["longer than its length in a second piece", () => new ListBody(["hel", "lo!"], 5)],
    ["failing behind its last byte", () => new ListBody(["hell", new Error("x")], 5)],
  ])("%s", async (_, make) => {
    const body = make();
    let sent: Sent | Promise<Sent> | undefined;
    using server = testServer((inbound) => (sent = inbound.respond(200, new HeaderList(), body)));
    const client = await server.connect(GET);
    const received = await client.ended();
    expect(client.end).toBe("reset");
    expect(received).not.toContain("0\r\n\r\n");
    expect(received).not.toEndWith("hello");
    expect(await sent).toMatchObject({ complete: false });
    expect((await sent)?.error).toBeInstanceOf(Error);
    expect(body.cancelled).toBeTrue();
    expect(server.server.connections).toBe(0);
  });

  test("one that fails while the client waits", async () => {
    const body = queue();
    using server = testServer((inbound) => inbound.respond(200, new HeaderList(), body));
    const client = await server.connect(GET);
    body.push(bytes("half"));
    await client.until("half");
    body.fail(new Error("the upstream died"));
    await client.ended();
    expect(client.end).toBe("reset");
  });

  test("one of HTTP/1.0 that ends with its connection", async () => {
    const body = queue();
    using server = testServer((inbound) => inbound.respond(200, new HeaderList(), body));
    const client = await server.connect("GET / HTTP/1.0\r\n\r\n");
    body.push(bytes("half"));
    await client.until("half");
    body.fail(new Error("the upstream died"));
    await client.ended();
    expect(client.end).toBe("reset");
  });

  test("a status that is none", async () => {
    const { received, end, sent } = await exchange(GET, (inbound) =>
      inbound.respond(42, new HeaderList(), null),
    );
    expect([received, end, sent?.complete]).toEqual(["", "reset", false]);
  });
});

test("a body in memory that was read before is no answer: its length would take the next answer's bytes", async () => {
  const used = new BytesBody(bytes("hello"));
  used.read();
  const { received, end, sent } = await exchange(GET + GET, (inbound) =>
    inbound.respond(200, new HeaderList(), used),
  );
  expect([received, end]).toEqual(["", "reset"]);
  expect(sent).toMatchObject({ bytes: 0, complete: false, error: { reason: "answer_length" } });
});

test("trailers that would change the message are left out (RFC 9110 §6.5.1)", async () => {
  const { received } = await exchange(GET, (inbound) => {
    const body = queue();
    const done = inbound.respond(200, new HeaderList(), body);
    body.end(
      new HeaderList(["content-length", "9", "set-cookie", "a=b", "x-sum", "1", "transfer-encoding", "gzip"]),
    );
    return done;
  });
  expect(received).toEndWith("0\r\nx-sum: 1\r\n\r\n");
});

describe("a client that leaves", () => {
  test.each(["finish", "reset"] as const)("(%s) ends the request and its answer", async (leave) => {
    const body = queue();
    const gone: SluiceError[] = [];
    let inbound: Inbound | undefined;
    let sent: Sent | Promise<Sent> | undefined;
    using server = testServer((request) => {
      inbound = request;
      request.onGone = (error) => gone.push(error);
      sent = request.respond(200, new HeaderList(), body);
    });
    const client = await server.connect(GET);
    body.push(bytes("half"));
    await client.until("half");
    client[leave]();
    expect(await sent).toMatchObject({ bytes: 4, complete: false, error: { code: "client_closed" } });
    expect(gone.map((error) => error.reason)).toEqual(["client.gone"]);
    expect(body.settled).toBeTrue();
    expect(server.server.connections).toBe(0);
    // Too late, and harmless.
    inbound!.inform(103, new HeaderList());
    expect(await inbound!.respond(200, new HeaderList(), null)).toMatchObject({ complete: false });
  });

  test("before its answer has begun", async () => {
    let gone: SluiceError | undefined;
    let inbound: Inbound | undefined;
    using server = testServer((request) => {
      inbound = request;
      request.onGone = (error) => void (gone = error);
    });
    const client = await server.connect(GET);
    await eventually(() => inbound !== undefined);
    client.reset();
    await eventually(() => gone !== undefined);
    const late = new ListBody(["x"]);
    expect(await inbound!.respond(200, new HeaderList(), late)).toMatchObject({ bytes: 0, complete: false });
    expect(late.cancelled).toBeTrue();
    expect(server.server.connections).toBe(0);
  });

  test("unnoticed until the answer is written", async () => {
    let sent: Sent | undefined;
    let gone = 0;
    let client: Awaited<ReturnType<ReturnType<typeof testServer>["connect"]>>;
    using server = testServer(async (inbound) => {
      inbound.onGone = () => void gone++;
      client.reset();
      // The reset is in the kernel, and nobody has told the server.
      sent = await inbound.respond(200, new HeaderList(), new BytesBody(bytes("hello")));
    });
    client = await server.connect(GET);
    await eventually(() => sent !== undefined && server.server.connections === 0);
    expect(sent).toMatchObject({ complete: false, error: { code: "client_closed" } });
    expect(gone).toBe(1);
  });

  test("with FIN behind its request still gets an answer that is at hand", async () => {
    const { received } = await exchange(GET, (i) =>
      i.respond(200, new HeaderList(), new BytesBody(bytes("hello"))),
    );
    expect(received).toEndWith("hello");
  });
});

describe("informational answers", () => {
  test("103 goes to HTTP/1.1 clients, before the answer only", async () => {
    const hints = new HeaderList(["link", "</a.css>; rel=preload"]);
    const answer = (inbound: Inbound) => {
      inbound.inform(103, hints);
      inbound.inform(100, hints);
      inbound.inform(101, hints);
      const sent = inbound.respond(200, new HeaderList(), null);
      inbound.inform(103, hints);
      return sent;
    };
    const { received } = await exchange(GET, answer);
    expect(received).toStartWith(
      "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n",
    );
    expect(received.split("HTTP/1.1 ")).toHaveLength(3);
    expect((await exchange("GET / HTTP/1.0\r\n\r\n", answer)).received).toStartWith("HTTP/1.1 200 OK\r\n");
  });
});

test("a second answer to one request comes to nothing", async () => {
  const late = new ListBody(["x"]);
  let second: Sent | undefined;
  const { received } = await exchange(GET, async (inbound) => {
    const first = inbound.respond(200, new HeaderList(), null);
    second = await inbound.respond(500, new HeaderList(), late);
    return first;
  });
  expect(received).toStartWith("HTTP/1.1 200 OK");
  expect(received).not.toContain("500");
  expect([second?.complete, late.cancelled]).toEqual([false, true]);
});

test("a gateway that throws costs its request, and nothing else", async () => {
  using server = testServer(() => {
    throw new Error("defect");
  });
  const client = await server.connect(GET);
  await client.ended();
  expect(client.end).toBe("reset");
  expect(server.log.lines.map((line) => line.level)).toEqual(["error"]);
  expect(server.server.connections).toBe(0);
});
