import { expect, test } from "bun:test";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from "node:http2";
import { type Body, BytesBody, collect, HeaderList, SluiceError } from "sluice/plugin";
import { eventually } from "../http1/test-server.ts";
import type { Inbound, Sent } from "./inbound.ts";
import { type TestListener, type TestListenerOptions, testListener } from "./test-listener.ts";

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders | undefined;
  /** Error code of the reset; 0 where the stream ended in order. */
  readonly code: number;
}

interface Served extends TestListener {
  readonly session: ClientHttp2Session;
}

async function serve(handle: (inbound: Inbound) => unknown, options?: TestListenerOptions): Promise<Served> {
  const listener = await testListener(handle, options);
  const session = connectHttp2(`http://127.0.0.1:${listener.port}`);
  session.on("error", () => {});
  return Object.assign(Object.create(listener) as TestListener, {
    session,
    [Symbol.dispose]() {
      session.destroy();
      listener.listener.close();
    },
  });
}

function read(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    let trailers: IncomingHttpHeaders | undefined;
    stream.on("response", (fields) => (headers = fields));
    stream.on("trailers", (fields) => (trailers = fields));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.on("close", () => {
      const status = headers[":status"];
      resolve({ status, headers, body: Buffer.concat(chunks), trailers, code: stream.rstCode ?? 0 });
    });
  });
}

function ask(session: ClientHttp2Session, fields: OutgoingHttpHeaders, body?: string): Promise<Answer> {
  const stream = session.request({ ":path": "/", ...fields }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return read(stream);
}

const text = (value: string): BytesBody => new BytesBody(Buffer.from(value));
const none = (): HeaderList => new HeaderList();

/** A body that gives its pieces one by one, each a turn later; then trailers, or a failure. */
function pieces(list: readonly string[], end?: HeaderList | Error): Body & { cancelled: boolean } {
  let next = 0;
  return {
    length: undefined,
    cancelled: false,
    get trailers() {
      return end instanceof HeaderList && next > list.length ? end : undefined;
    },
    async read() {
      await Bun.sleep(0);
      const piece = list[next++];
      if (piece !== undefined) return Buffer.from(piece);
      if (end instanceof Error) throw end;
      return null;
    },
    cancel() {
      this.cancelled = true;
    },
  };
}

test("a request arrives as it was sent, and its answer likewise", async () => {
  let seen: Inbound | undefined;
  let sent: Sent | Promise<Sent> | undefined;
  using served = await serve(async (inbound) => {
    seen = inbound;
    const body = await collect(inbound.body, 1000);
    const fields = new HeaderList([
      "x-a",
      "1",
      "set-cookie",
      "a=1",
      "x-latin",
      "caf\u00e9",
      "set-cookie",
      "b=2",
    ]);
    sent = inbound.respond(201, fields, new BytesBody(body!));
  });
  const headers = {
    "x-one": "1",
    cookie: ["a=1", "b=2"],
    x_under: "no",
    "content-length": "5",
    te: "trailers",
  };
  const fields = { ":method": "POST", ":path": "/p/../q?x=%20", ...headers };
  const answer = await ask(served.session, fields, "hello");
  expect(seen).toMatchObject({
    method: "POST",
    rawTarget: "/p/../q?x=%20",
    httpVersion: "2",
    scheme: "http",
  });
  expect(seen!.authority).toBe(`127.0.0.1:${served.port}`);
  expect(seen!.headers.flat).toEqual(["x-one", "1", "cookie", "a=1; b=2", "te", "trailers"]);
  expect(seen!.body!.length).toBe(5);
  expect(answer).toMatchObject({ status: 201, code: 0, trailers: undefined });
  expect(answer.body.toString()).toBe("hello");
  expect(answer.headers).toMatchObject({ "x-a": "1", "set-cookie": ["a=1", "b=2"], "content-length": "5" });
  expect(answer.headers["x-latin"]).toBe("caf\u00e9");
  expect(answer.headers.date).toBe(new Date(served.clock.now()).toUTCString());
  expect(await sent).toMatchObject({ bytes: 5, complete: true, error: undefined });
});

test("fields of an HTTP/1.1 connection do not get into an answer; a date is left alone", async () => {
  using served = await serve((inbound) => {
    const fields = ["connection", "close", "keep-alive", "1", "transfer-encoding", "chunked", "upgrade", "x"];
    const list = new HeaderList([...fields, "date", "then", "content-length", "99", "x-a", "1"]);
    void inbound.respond(200, list, pieces(["a", "b"]));
  });
  const { headers, body } = await ask(served.session, {});
  expect(Object.keys(headers).toSorted()).toEqual([":status", "date", "x-a"]);
  expect(headers.date).toBe("then");
  expect(body.toString()).toBe("ab");
});

test.each([
  ["HEAD", 200, "5"],
  ["GET", 204, undefined],
  ["GET", 304, "5"],
] as const)("%s answered %i has no body", async (method, status, length) => {
  const body = pieces(["hello"]);
  let sent: Sent | Promise<Sent> | undefined;
  using served = await serve((inbound) => {
    sent = inbound.respond(status, new HeaderList(["content-length", "5"]), body);
  });
  const answer = await ask(served.session, { ":method": method });
  expect(answer).toMatchObject({ status, code: 0 });
  expect(answer.body).toHaveLength(0);
  expect(answer.headers["content-length"]).toBe(length);
  expect(body.cancelled).toBe(true);
  expect(await sent).toMatchObject({ bytes: 0, complete: true });
});

test("trailers go both ways", async () => {
  let trailers: HeaderList | undefined;
  using served = await serve(async (inbound) => {
    await collect(inbound.body, 1000);
    trailers = inbound.body?.trailers;
    const end = new HeaderList(["x-end", "1", "x-end", "2"]);
    const whole = inbound.rawTarget === "/whole";
    void inbound.respond(
      200,
      none(),
      whole ? new BytesBody(Buffer.from("ab"), end) : pieces(["a", "b"], end),
    );
  });
  for (const path of ["/whole", "/pieces", "/empty"]) {
    const fields = { ":method": "POST", ":path": path };
    const stream = served.session.request(fields, { endStream: false, waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
    stream.end("body");
    const answer = await read(stream);
    expect(answer.trailers).toMatchObject({ "x-end": "1, 2" });
    expect(answer.body.toString()).toBe("ab");
    expect(trailers?.flat).toEqual(["x-sum", "42"]);
  }
});

test("a trailer section holds nothing that a message was acted upon before, neither way", async () => {
  let trailers: HeaderList | undefined;
  using served = await serve(async (inbound) => {
    await collect(inbound.body, 1000);
    trailers = inbound.body?.trailers;
    const end = new HeaderList(["set-cookie", "a=1", "grpc-status", "0", "content-length", "9"]);
    void inbound.respond(200, none(), new BytesBody(Buffer.from("ab"), end));
  });
  const post = { ":method": "POST", ":path": "/" };
  const stream = served.session.request(post, { endStream: false, waitForTrailers: true });
  const late = {
    "x-forwarded-for": "192.0.2.9",
    authorization: "Bearer x",
    "x-sum": "42",
    "content-type": "x",
  };
  stream.on("wantTrailers", () => stream.sendTrailers(late));
  stream.end("body");
  const answer = await read(stream);
  expect(Object.entries(answer.trailers!)).toEqual([["grpc-status", "0"]]);
  expect(trailers?.flat).toEqual(["x-sum", "42"]);
});

test("fields with the names of an object's own arrive, in trailers and in informational answers", async () => {
  const odd = ["constructor", "1", "__proto__", "2", "tostring", "3", "constructor", "4"];
  using served = await serve((inbound) => {
    inbound.inform(103, new HeaderList(odd));
    void inbound.respond(200, none(), pieces(["a"], new HeaderList(odd)));
  });
  const stream = served.session.request({ ":path": "/" });
  const seen: unknown[] = [];
  const take = (_fields: unknown, _flags: number, raw: string[]) => seen.push(raw);
  stream.on("headers", take);
  stream.on("trailers", take);
  const answer = await read(stream);
  expect(answer).toMatchObject({ status: 200, code: 0 });
  const flat = ["constructor", "1", "__proto__", "2", "tostring", "3", "constructor", "4"];
  expect(seen).toEqual([[":status", "103", ...flat], flat]);
});

test("informational answers come before the answer; 100 only when the body is wanted", async () => {
  const start = Promise.withResolvers<void>();
  using served = await serve(async (inbound) => {
    inbound.inform(103, new HeaderList(["link", "</a>", "link", "</b>"]));
    await start.promise;
    const body = await collect(inbound.body, 100);
    void inbound.respond(200, none(), new BytesBody(body!));
  });
  const fields = { ":method": "POST", ":path": "/", expect: "100-continue" };
  const stream = served.session.request(fields, { endStream: false });
  const informed: unknown[] = [];
  stream.on("headers", (info) => informed.push(info[":status"]));
  let continued = false;
  stream.on("continue", () => {
    continued = true;
    stream.end("now");
  });
  const answer = read(stream);
  await eventually(() => informed.length > 0);
  expect(informed[0]).toBe(103);
  expect(continued).toBe(false);
  start.resolve();
  expect((await answer).body.toString()).toBe("now");
});

test("an answer that fails is reset, never ended", async () => {
  const failure = new SluiceError("upstream_failed", "it died");
  const outcomes: (Sent | Promise<Sent>)[] = [];
  let gone = 0;
  using served = await serve((inbound) => {
    inbound.onGone = () => gone++;
    const body = inbound.rawTarget === "/later" ? pieces(["a", "b"], failure) : pieces([], failure);
    outcomes.push(inbound.respond(200, none(), body));
  });
  const later = await ask(served.session, { ":path": "/later" });
  expect(later).toMatchObject({ status: 200, code: 2 });
  expect(later.body.toString()).toBe("ab");
  expect(await ask(served.session, { ":path": "/at-once" })).toMatchObject({ code: 2 });
  expect(await outcomes[0]).toMatchObject({ bytes: 2, complete: false, error: failure });
  expect(await outcomes[1]).toMatchObject({ bytes: 0, complete: false, error: failure });
  expect(gone).toBe(0);
  // The connection lives on.
  expect((await ask(served.session, { ":path": "/later" })).status).toBe(200);
});

test("a body that throws synchronously and a status that HTTP/2 cannot carry are failures like others", async () => {
  using served = await serve((inbound) => {
    const body: Body = {
      length: undefined,
      trailers: undefined,
      read() {
        throw new Error("broken");
      },
      cancel() {},
    };
    if (inbound.rawTarget === "/status") void inbound.respond(999, none(), text("x"));
    else if (inbound.rawTarget === "/throw") throw new Error("a defect");
    else void inbound.respond(200, none(), body);
  });
  for (const path of ["/", "/status", "/throw"]) {
    expect(await ask(served.session, { ":path": path })).toMatchObject({ code: 2 });
  }
  expect(served.log.lines.map((line) => line.level)).toEqual(["error"]);
});

test("a client that resets or leaves is reported at once, and what answers is told to stop", async () => {
  const gone: SluiceError[] = [];
  const bodies: ReturnType<typeof pieces>[] = [];
  const outcomes: (Sent | Promise<Sent>)[] = [];
  using served = await serve((inbound) => {
    inbound.onGone = (error) => gone.push(error);
    if (inbound.rawTarget === "/silent") return;
    const body = pieces(Array.from({ length: 1_000_000 }, () => "x"));
    bodies.push(body);
    outcomes.push(inbound.respond(200, none(), body));
  });
  const { session } = served;
  const answering = session.request({ ":path": "/" });
  answering.on("error", () => {});
  answering.once("data", () => answering.close(8));
  answering.resume();
  await eventually(() => gone.length === 1);
  expect(bodies[0]!.cancelled).toBe(true);
  expect(await outcomes[0]).toMatchObject({ complete: false, error: gone[0]! });

  const silent = session.request({ ":path": "/silent" });
  silent.on("error", () => {});
  silent.once("ready", () => setImmediate(() => silent.close(8)));
  await eventually(() => gone.length === 2);

  const left = session.request({ ":path": "/" });
  left.on("error", () => {});
  left.once("data", () => session.destroy());
  await eventually(() => gone.length === 3);
  expect(bodies[1]!.cancelled).toBe(true);
  expect(gone.map((error) => error.code)).toEqual(["client_closed", "client_closed", "client_closed"]);
  await eventually(() => served.listener.connections === 0);
});

test("answering a client that is gone is harmless", async () => {
  const requests: Inbound[] = [];
  using served = await serve((inbound) => requests.push(inbound));
  const stream = served.session.request({ ":path": "/" });
  stream.on("error", () => {});
  await eventually(() => requests.length === 1);
  const gone = new Promise<SluiceError>((resolve) => (requests[0]!.onGone = resolve));
  stream.close(8);
  await gone;
  const body = pieces(["x"]);
  requests[0]!.inform(103, none());
  expect(await requests[0]!.respond(200, none(), body)).toMatchObject({ bytes: 0, complete: false });
  expect(body.cancelled).toBe(true);
});

test("an early answer ends the request without an error", async () => {
  const failures: unknown[] = [];
  using served = await serve((inbound) => {
    void inbound.body?.read();
    void inbound.respond(403, none(), text("no"));
  });
  const stream = served.session.request({ ":method": "POST", ":path": "/" }, { endStream: false });
  stream.on("error", (error) => failures.push(error));
  stream.write("a part");
  const answer = await read(stream);
  expect(answer).toMatchObject({ status: 403, code: 0 });
  expect(answer.body.toString()).toBe("no");
  expect(failures).toEqual([]);
});

test("a body beyond the limit fails, whether it says so or not", async () => {
  using served = await serve(
    async (inbound) => {
      const error = await collect(inbound.body, 1e6).catch((thrown: unknown) => thrown as SluiceError);
      const status = error instanceof SluiceError ? error.status : 200;
      void inbound.respond(status, none(), text("done"));
    },
    { limits: { body: 10 } },
  );
  const post = { ":method": "POST" };
  expect((await ask(served.session, post, "0123456789")).status).toBe(200);
  expect((await ask(served.session, post, "01234567890")).status).toBe(413);
  expect((await ask(served.session, { ...post, "content-length": "11" }, "01234567890")).status).toBe(413);
  expect(served.rejections.map((rejection) => rejection.reason)).toEqual(["limits.body"]);
});

test("a body that stops coming fails after its timeout, a gRPC call's too, unless it may rest", async () => {
  using served = await serve(
    async (inbound) => {
      inbound.bodyMayRest = inbound.rawTarget === "/rests";
      const error = await collect(inbound.body, 1e6).catch((thrown: unknown) => thrown as SluiceError);
      void inbound.respond(error instanceof SluiceError ? error.status : 200, none(), null);
    },
    { limits: { bodyTimeout: 1000 } },
  );
  const post = { ":method": "POST", ":path": "/" };
  const slow = served.session.request(post, { endStream: false });
  slow.write("a part");
  const grpc = { ...post, "content-type": "application/grpc" };
  const pinned = served.session.request(grpc, { endStream: false });
  pinned.write("a part");
  const call = served.session.request({ ...grpc, ":path": "/rests" }, { endStream: false });
  call.write("a part");
  const answers = [read(slow), read(pinned), read(call)];
  // Answered when the two before it have arrived.
  await ask(served.session, {});
  await served.clock.advance(2000);
  expect(await answers[0]).toMatchObject({ status: 408 });
  expect(await answers[1]).toMatchObject({ status: 408 });
  await served.clock.advance(100_000);
  call.end("the rest");
  expect(await answers[2]).toMatchObject({ status: 200 });
});

test("a slow reader holds up its answer and nothing else", async () => {
  let pulled = 0;
  let cancelled: unknown;
  const piece = Buffer.alloc(65_536, "x");
  using served = await serve(
    (inbound) => {
      if (inbound.rawTarget === "/small") return inbound.respond(200, none(), text("ok"));
      const body: Body = {
        length: undefined,
        trailers: undefined,
        read: () => (pulled++ < 10_000 ? piece : null),
        cancel: (reason) => (cancelled = reason),
      };
      return inbound.respond(200, none(), body);
    },
    { limits: { idleTimeout: 5000 } },
  );
  const slow = served.session.request({ ":path": "/big" });
  slow.on("error", () => {});
  const closed = new Promise((resolve) => slow.once("close", resolve));
  await new Promise((resolve) => slow.once("response", resolve));
  const answer = await ask(served.session, { ":path": "/small" });
  expect(answer.body.toString()).toBe("ok");
  // A stream's window is 64 KiB here, and little more is read ahead of it.
  expect(pulled).toBeLessThan(10);
  await served.clock.advance(6000);
  slow.resume();
  await closed;
  expect(cancelled).toMatchObject({ code: "client_closed", reason: "client.stalled" });
});

test("a reader that does not read holds up the client, and memory stays bounded", async () => {
  const requests: Inbound[] = [];
  using served = await serve((inbound) => requests.push(inbound), { limits: { body: 1e9 } });
  const stream = served.session.request({ ":method": "POST", ":path": "/" }, { endStream: false });
  const answer = read(stream);
  const piece = Buffer.alloc(65_536, "x");
  let offered = 0;
  while (stream.write(piece) && offered < 1000) offered++;
  await eventually(() => requests.length === 1);
  const body = requests[0]!.body!;
  expect((body as unknown as { buffered: number }).buffered).toBeLessThan(400_000);
  let total = 0;
  stream.end();
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) total += chunk.byteLength;
  expect(total).toBe((offered + 1) * piece.byteLength);
  void requests[0]!.respond(200, none(), null);
  expect((await answer).status).toBe(200);
});

test("bytes of many large answers and uploads arrive unchanged", async () => {
  using served = await serve(
    async (inbound) => {
      const body = await collect(inbound.body, 1e8);
      const { length } = body!;
      let at = 0;
      const echo: Body = {
        length,
        trailers: undefined,
        read() {
          if (at >= length) return null;
          const chunk = body!.subarray(at, at + 50_000);
          at += 50_000;
          return at % 3 === 0 ? chunk : Bun.sleep(0).then(() => chunk);
        },
        cancel() {},
      };
      void inbound.respond(200, none(), echo);
    },
    { limits: { body: 1e8 } },
  );
  await Promise.all(
    Array.from({ length: 8 }, async (_, seed) => {
      const bytes = new Uint8Array(1_500_000).map((_byte, i) => (i * (seed + 3)) >> 3);
      const stream = served.session.request({ ":method": "POST", ":path": "/" }, { endStream: false });
      stream.end(bytes);
      const answer = await read(stream);
      expect(Bun.hash(answer.body)).toBe(Bun.hash(bytes));
    }),
  );
});
