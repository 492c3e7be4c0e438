import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { serveKserve } from "../../demo/kserve-server.ts";
import { DATA, END_STREAM, type Fields, h2Peer, HEADERS } from "../test-h2-peer.ts";
import { healthCheckRequest, servingStatus } from "./grpc-messages.ts";
import { startGrpcHealthServer } from "./test-grpc-server.ts";
import { watch } from "./test-watch.ts";

/* grpc.health.v1 against grpc-js, and against peers that break its rules. */

const GRPC = { kind: "grpc" } as const;

describe("a grpc-js server", () => {
  test("NOT_SERVING and back, on one connection", async () => {
    await using server = await startGrpcHealthServer();
    using health = watch({ port: server.port, config: { ...GRPC, service: "shop.Cart", fall: 2 } });
    expect(await health.next()).toBe("true SERVING");
    server.say = { serving: 2 };
    expect(await health.next()).toBe("false NOT_SERVING");
    expect(await health.next()).toBe("false NOT_SERVING");
    server.say = { serving: 1 };
    expect(await health.next()).toBe("true SERVING");
    expect(await health.next()).toBe("true SERVING");
    expect(health.changes).toEqual(["false NOT_SERVING", "true SERVING"]);
    expect(server.calls.map(({ service }) => service)).toEqual(Array.from({ length: 5 }, () => "shop.Cart"));
    expect(health.transports).toHaveLength(1);
    expect(health.transports[0]!.connections).toEqual({ open: 1, idle: 1 });
  });

  test("what it is told: a deadline, and the fields that were configured", async () => {
    await using server = await startGrpcHealthServer();
    using health = watch({
      port: server.port,
      config: { ...GRPC, headers: [["x-token", "abc"]], timeout: 3_600_000 },
    });
    await health.next();
    const { metadata, service, deadline } = server.calls[0]!;
    expect([service, metadata.get("x-token"), metadata.get("user-agent")]).toEqual(["", ["abc"], ["sluice"]]);
    expect(Math.abs(deadline - Date.now() - 3_600_000)).toBeLessThan(60_000);
  });

  test.each([
    [0, "false serving status UNKNOWN"],
    [3, "false SERVICE_UNKNOWN"],
    [9, "false serving status 9"],
  ])("serving status %d: %s", async (serving, expected) => {
    await using server = await startGrpcHealthServer();
    server.say = { serving };
    using health = watch({ port: server.port, config: GRPC });
    expect(await health.next()).toBe(expected);
  });

  test.each([
    ["NOT_FOUND", "false NOT_FOUND"],
    ["PERMISSION_DENIED", "false PERMISSION_DENIED"],
    ["UNAVAILABLE", "false UNAVAILABLE"],
    ["UNIMPLEMENTED", "true UNIMPLEMENTED"],
  ] as const)("gRPC code %s: %s", async (code, expected) => {
    await using server = await startGrpcHealthServer();
    server.say = { code };
    using health = watch({ port: server.port, config: GRPC });
    expect(await health.next()).toBe(expected);
  });

  test("that knows no health service is healthy", async () => {
    await using server = await startGrpcHealthServer(false);
    using health = watch({ port: server.port, config: GRPC, healthy: false });
    expect(await health.next()).toBe("true UNIMPLEMENTED");
    expect(await health.next()).toBe("true UNIMPLEMENTED");
    expect(health.changes).toEqual(["true UNIMPLEMENTED"]);
  });

  test("that never answers: timeout, and the next check has a connection of its own", async () => {
    await using server = await startGrpcHealthServer();
    server.say = "nothing";
    using health = watch({ port: server.port, config: GRPC });
    for (let i = 1; i <= 3; i++)
      expect(await health.nextHanging(() => server.called(i))).toBe("false timeout");
    expect(health.changes).toEqual(["false timeout"]);
    server.say = { serving: 1 };
    expect(await health.next()).toBe("true SERVING");
    expect(health.transports).toHaveLength(4);
  });

  test("that is gone", async () => {
    const server = await startGrpcHealthServer();
    using health = watch({ port: server.port, config: GRPC });
    expect(await health.next()).toBe("true SERVING");
    await server[Symbol.asyncDispose]();
    expect(await health.next()).toBe("false connect");
  });
});

test("the pretend inference server is healthy", async () => {
  const server = await serveKserve();
  using health = watch({ port: Number(new URL(server.url).port), config: GRPC });
  expect(await health.next()).toBe("true SERVING");
  await server.close();
});

describe("a peer that", () => {
  const HEAD: Fields = [
    [":status", "200"],
    ["content-type", "application/grpc"],
  ];
  const OK: Fields = [["grpc-status", "0"]];
  const SERVING = "\0\0\0\0\x02\x08\x01";

  test.each([
    ["answers OK with SERVING", HEAD, SERVING, OK, "true SERVING"],
    ["sends two messages", HEAD, SERVING + SERVING, OK, "false protocol"],
    ["sends no message", HEAD, "", OK, "false protocol"],
    ["sends a piece of one", HEAD, "\0\0\0\0\x02\x08", OK, "false protocol"],
    ["compresses unasked", HEAD, `\x01${SERVING.slice(1)}`, OK, "false protocol"],
    ["sends no protobuf", HEAD, "\0\0\0\0\x02\xff\xff", OK, "false protocol"],
    ["sends no status", HEAD, SERVING, [["x-other", "1"]], "false protocol"],
    ["sends a status that is none", HEAD, SERVING, [["grpc-status", "zero"]], "false protocol"],
    ["fails after a message", HEAD, SERVING, [["grpc-status", "13"]], "false INTERNAL"],
    ["fails with a code of its own", HEAD, "", [["grpc-status", "99"]], "false grpc status 99"],
    ["is no gRPC server", [[":status", "200"]], "<html>", undefined, "false protocol"],
    ["answers with an HTTP error", [[":status", "503"]], "no", undefined, "false status 503"],
    ["answers 404 as HTTP does", [[":status", "404"]], "no", undefined, "false status 404"],
    ["says all in its head", [...HEAD, ["grpc-status", "12"]], undefined, undefined, "true UNIMPLEMENTED"],
    ["says OK in its head, and nothing else", [...HEAD, ...OK], undefined, undefined, "false protocol"],
  ] satisfies [string, Fields, string | undefined, Fields | undefined, string][])(
    "%s",
    async (_what, head, body, trailers, expected) => {
      using target = h2Peer({
        frame(session, { type, flags, stream }) {
          if (type !== DATA || (flags & END_STREAM) === 0) return;
          session.head(stream, head, body === undefined);
          if (body !== undefined) session.data(stream, body, trailers === undefined);
          if (trailers !== undefined) session.head(stream, trailers, true);
        },
      });
      using health = watch({ port: target.port, config: GRPC });
      expect(await health.next()).toBe(expected);
    },
  );

  test("closes the connection when it is asked", async () => {
    using target = h2Peer({
      frame: (session, { type }) => {
        if (type === HEADERS) session.raw.end();
      },
    });
    using health = watch({ port: target.port, config: GRPC });
    expect(await health.next()).toBe("false reset");
  });
});

describe("the messages", () => {
  const framed = (...bytes: number[]) => Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]);

  test("a request names its service in UTF-8; the default is not sent", () => {
    expect([...healthCheckRequest("")]).toEqual([0, 0, 0, 0, 0]);
    expect([...healthCheckRequest("ab")]).toEqual([0, 0, 0, 0, 4, 10, 2, 97, 98]);
    const long = healthCheckRequest("ü".repeat(150));
    expect([...long.subarray(0, 8)]).toEqual([0, 0, 0, 1, 47, 10, 0b1010_1100, 2]);
    expect(long.byteLength).toBe(5 + 3 + 300);
  });

  test("fields that nobody knows are skipped, and the last status counts", () => {
    expect(servingStatus(framed())).toBe(0);
    expect(servingStatus(framed(8, 1))).toBe(1);
    expect(servingStatus(framed(8, 2, 8, 1))).toBe(1);
    expect(servingStatus(framed(18, 2, 8, 2, 8, 1))).toBe(1);
    expect(servingStatus(framed(8, 1, 29, 1, 2, 3, 4, 25, 1, 2, 3, 4, 5, 6, 7, 8, 40, 200, 1))).toBe(1);
    // A negative enumerator takes ten bytes.
    expect(servingStatus(framed(8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1))).toBe(4_294_967_295);
  });

  test("what is cut off or is no message is none", () => {
    for (const bytes of [
      [8],
      [8, 255],
      [18, 2, 8],
      [29, 1, 2],
      [25, 1],
      [11],
      [0, 1],
      [18, 255, 255, 255, 255, 15],
    ])
      expect([bytes, servingStatus(framed(...bytes))]).toEqual([bytes, undefined]);
  });

  test("nothing makes it throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, whole) => {
        const body = whole ? framed(...bytes) : Buffer.from(bytes);
        const status = servingStatus(body);
        expect(status === undefined || Number.isInteger(status)).toBe(true);
      }),
    );
  });
});
