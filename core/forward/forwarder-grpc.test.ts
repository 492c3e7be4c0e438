import { describe, expect, test } from "bun:test";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { BytesBody } from "sluice/plugin";
import { failureOf, type Harness, harness, type TestExchange } from "./test-harness.ts";

const MESSAGE = new Uint8Array([0, 0, 0, 0, 2, 8, 1]);
const CALL = [
  ["content-type", "application/grpc"],
  ["te", "trailers"],
] as const;

interface GrpcUpstream extends AsyncDisposable {
  readonly url: string;
  readonly calls: IncomingHttpHeaders[];
  /** The stream of the next call that arrives. */
  next(): Promise<ServerHttp2Stream>;
}

async function grpcUpstream(answer?: (stream: ServerHttp2Stream) => void): Promise<GrpcUpstream> {
  const calls: IncomingHttpHeaders[] = [];
  const arrived: ServerHttp2Stream[] = [];
  let waiting: ((stream: ServerHttp2Stream) => void) | undefined;
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", () => {});
    stream.resume();
    calls.push(headers);
    answer?.(stream);
    if (waiting === undefined) arrived.push(stream);
    else waiting(stream);
    waiting = undefined;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    next() {
      const stream = arrived.shift();
      if (stream !== undefined) return Promise.resolve(stream);
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

function call(gate: Harness, ...extra: (readonly [string, string])[]): TestExchange {
  return gate.exchange({
    method: "POST",
    path: "/t.Echo/Unary",
    version: "2",
    headers: [...CALL, ...extra],
    body: new BytesBody(MESSAGE),
  });
}

function closed(stream: ServerHttp2Stream): Promise<number> {
  return new Promise((resolve) => {
    if (stream.closed) resolve(stream.rstCode);
    else stream.once("close", () => resolve(stream.rstCode));
  });
}

const unary = (stream: ServerHttp2Stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-end": "1" }));
  stream.end(MESSAGE);
};

describe("a gRPC call", () => {
  test("passes as bytes, with its trailers", async () => {
    await using upstream = await grpcUpstream(unary);
    await using gate = harness({ u: { url: upstream.url, protocol: "grpc" } });
    const x = call(gate, ["x-meta", "1"]);
    await gate.forwarder.forward(x);
    expect(x.response!.status).toBe(200);
    expect(await x.response!.body!.read()).toEqual(Buffer.from(MESSAGE));
    expect(await x.response!.body!.read()).toBeNull();
    expect([...x.response!.body!.trailers!]).toEqual([
      ["grpc-status", "0"],
      ["x-end", "1"],
    ]);
    expect(x.response!.headers.get("via")).toBe("2 gate-1");
    expect(upstream.calls[0]).toMatchObject({
      ":path": "/t.Echo/Unary",
      ":authority": "shop.example",
      te: "trailers",
      "x-meta": "1",
      via: "2 gate-1",
      "x-forwarded-for": "203.0.113.7",
    });
    expect(upstream.calls[0]!["grpc-timeout"]).toBeUndefined();
    expect(gate.inFlight("u")).toBe(0);
  });

  test("answered by trailers only stays so", async () => {
    await using upstream = await grpcUpstream((stream) => {
      const head = { ":status": 200, "content-type": "application/grpc", "grpc-status": "5" };
      stream.respond(head, { endStream: true });
    });
    await using gate = harness({ u: { url: upstream.url, protocol: "grpc" } });
    const x = call(gate);
    await gate.forwarder.forward(x);
    expect(x.response!.body).toBeNull();
    expect(x.response!.headers.get("grpc-status")).toBe("5");
    expect(gate.inFlight("u")).toBe(0);
  });
});

describe("a gRPC deadline", () => {
  test("goes on to the upstream, shorter by what was spent", async () => {
    await using upstream = await grpcUpstream(unary);
    await using gate = harness({ u: { url: upstream.url, protocol: "grpc" } });
    const x = call(gate, ["grpc-timeout", "5S"]);
    await gate.clock.advance(250);
    await gate.forwarder.forward(x);
    expect(upstream.calls[0]!["grpc-timeout"]).toBe("4750000u");
    await x.text();
    // What is over in time is not touched.
    await gate.clock.advance(10_000);
    expect(x.record.failure).toBeUndefined();
  });

  test("that passes before the answer cancels the call: DEADLINE_EXCEEDED", async () => {
    await using upstream = await grpcUpstream();
    await using gate = harness({ u: { url: upstream.url, protocol: "grpc" } });
    const x = call(gate, ["grpc-timeout", "500m"]);
    const forwarded = failureOf(gate.forwarder.forward(x));
    const stream = await upstream.next();
    await gate.clock.advance(550);
    expect(await forwarded).toMatchObject({
      code: "upstream_timeout",
      reason: "timeout.deadline",
      grpcStatus: 4,
    });
    expect(await closed(stream)).toBe(8);
    expect(gate.inFlight("u")).toBe(0);
  });

  test("that passes in the middle of a stream ends it with the status in its trailers", async () => {
    for (const waiting of [true, false]) {
      await using upstream = await grpcUpstream((stream) => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" });
        stream.write(MESSAGE);
      });
      await using gate = harness({ u: { url: upstream.url, protocol: "grpc" } });
      const x = call(gate, ["grpc-timeout", "500m"]);
      await gate.forwarder.forward(x);
      const stream = await upstream.next();
      const body = x.response!.body!;
      expect(await body.read()).toEqual(Buffer.from(MESSAGE));
      const rest = waiting ? body.read() : undefined;
      await gate.clock.advance(550);
      expect(await (rest ?? body.read())).toBeNull();
      expect(body.trailers!.get("grpc-status")).toBe("4");
      expect(body.trailers!.get("grpc-message")).toBe("the call's deadline has passed");
      expect(x.record.failure).toMatchObject({ reason: "timeout.deadline" });
      expect(await closed(stream)).toBe(8);
      expect(gate.inFlight("u")).toBe(0);
    }
  });

  test("that has passed already asks nobody", async () => {
    await using upstream = await grpcUpstream(unary);
    await using gate = harness({ u: { url: upstream.url, protocol: "grpc" } });
    const x = call(gate, ["grpc-timeout", "100m"]);
    await gate.clock.advance(100);
    expect(await failureOf(gate.forwarder.forward(x))).toMatchObject({ reason: "timeout.deadline" });
    expect(upstream.calls).toHaveLength(0);
    expect(x.record.attempts).toBe(0);
  });

  test("is none outside of gRPC", async () => {
    await using upstream = await grpcUpstream(unary);
    await using gate = harness({ u: { url: upstream.url, protocol: "http2" } });
    const x = gate.exchange({ headers: [["grpc-timeout", "1n"]] });
    await gate.forwarder.forward(x);
    expect(upstream.calls[0]!["grpc-timeout"]).toBe("1n");
    await x.text();
  });

  test("and timeouts.request: the sooner counts, under its own name", async () => {
    await using upstream = await grpcUpstream();
    await using gate = harness({ u: { url: upstream.url, protocol: "grpc", timeouts: { request: 200 } } });
    const forwarded = failureOf(gate.forwarder.forward(call(gate, ["grpc-timeout", "5S"])));
    await upstream.next();
    await gate.clock.advance(250);
    expect(await forwarded).toMatchObject({ reason: "timeout.request", grpcStatus: 4 });
  });
});

test("a call that goes on does not keep the circuit breaker half open; what it ends with counts before", async () => {
  const streams: ServerHttp2Stream[] = [];
  await using upstream = await grpcUpstream((stream) => streams.push(stream));
  const circuitBreaker = {
    ...{ failureRatio: undefined, minRequests: 20, window: 10_000, consecutiveFailures: 2 },
    ...{ openFor: 5_000, halfOpenRequests: 1 },
  };
  await using gate = harness({ u: { url: upstream.url, protocol: "grpc", circuitBreaker } });
  const circuit = () => gate.upstreams.get("u")?.view.circuit;
  const begun = async (): Promise<[TestExchange, ServerHttp2Stream]> => {
    const count = streams.length;
    const x = call(gate);
    const forwarded = gate.forwarder.forward(x);
    while (streams.length === count) await gate.clock.advance(0);
    const stream = streams[count]!;
    stream.respond(
      { ":status": 200, "content-type": "application/grpc" },
      { waitForTrailers: true, endStream: false },
    );
    await forwarded;
    return [x, stream];
  };
  const end = async ([x, stream]: [TestExchange, ServerHttp2Stream], status: string): Promise<void> => {
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status }));
    stream.end(MESSAGE);
    await x.text();
  };
  // What a caller has done wrong is no failure; UNAVAILABLE and INTERNAL are.
  await end(await begun(), "14");
  await end(await begun(), "3");
  await end(await begun(), "14");
  expect(circuit()).toBe("closed");
  await end(await begun(), "13");
  expect(circuit()).toBe("open");
  await gate.clock.advance(5_000);
  const watching = await begun();
  expect(circuit()).toBe("half-open");
  await gate.clock.advance(1_050);
  expect(circuit()).toBe("closed");
  await end(watching, "14");
  expect(circuit()).toBe("closed");
});
