import { expect, test } from "bun:test";
import { freePort } from "../../core/e2e/free-port.ts";
import { temporaryDir } from "../../core/testing/temporary-dir.ts";
import { startGrpcOrigin } from "../origins/grpc-origin.ts";
import { framed, UNARY, UNARY_BYTES, UNARY_REQUEST } from "../origins/grpc-messages.ts";
import { JSON_ANSWER, JSON_REQUEST } from "../origins/json-messages.ts";
import { startJsonOrigin } from "../origins/json-origin.ts";
import { checkGrpc } from "./grpc-check.ts";
import { GRPC_HEADERS, runH2load } from "./h2load.ts";
import { commandLine } from "./run-program.ts";
import { postScript, runWrk } from "./wrk.ts";

test.concurrent("wrk posts a body, and throws where it is not answered with success", async () => {
  using dir = temporaryDir();
  await using origin = await startJsonOrigin();
  const one = { port: origin.port, connections: 2, seconds: 1, expectBytesEach: JSON_ANSWER.byteLength };
  const script = postScript(dir.path, JSON_REQUEST, "application/json");
  const [posted, wrong, short] = await Promise.allSettled([
    runWrk({ ...one, script }),
    runWrk(one),
    runWrk({ ...one, script, expectBytesEach: 1_024 }),
  ]);
  expect(posted.status).toBe("fulfilled");
  if (posted.status === "fulfilled") {
    expect(posted.value.requests).toBeGreaterThan(0);
    expect(posted.value.seconds).toBeGreaterThan(0.9);
    expect(posted.value.command).toStartWith("wrk -t1 -c2 -d1s -s ");
  }
  expect(wrong).toMatchObject({ reason: { message: expect.stringContaining("Non-2xx") as unknown } });
  // 200 each time, and not the body that was asked for.
  expect(short).toMatchObject({
    reason: { message: expect.stringContaining("answers of 1024 bytes") as unknown },
  });
});

test.concurrent("h2load makes gRPC calls, and throws where they fail with 200", async () => {
  using dir = temporaryDir();
  await using origin = await startGrpcOrigin();
  await checkGrpc(origin.port);
  const run = (message: Uint8Array) =>
    runH2load({
      port: origin.port,
      path: UNARY,
      connections: 2,
      streams: 2,
      seconds: 1,
      body: dir.write(String(message[3]), framed(message)),
      headers: GRPC_HEADERS,
      expectBytesEach: UNARY_BYTES,
    });
  const [right, wrong] = await Promise.allSettled([run(UNARY_REQUEST), run(Buffer.alloc(1_024, "x"))]);
  expect(right).toMatchObject({ status: "fulfilled", value: { requests: expect.any(Number) as unknown } });
  expect(wrong).toMatchObject({ reason: { message: expect.stringContaining("0 bytes in ") as unknown } });
});

test("a port that nobody listens on is an error", async () => {
  const port = freePort();
  const both = await Promise.allSettled([
    runWrk({ port, connections: 1, seconds: 1, expectBytesEach: 0 }),
    runH2load({ port, path: "/", connections: 1, streams: 1, seconds: 1 }),
    checkGrpc(port, 500),
  ]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
});

test("a command can be typed", () => {
  expect(
    commandLine([process.execPath, "-H", "te: trailers", "it's", "--url=http://127.0.0.1:80/a?b=c&d"]),
  ).toBe(`bun -H 'te: trailers' 'it'\\''s' '--url=http://127.0.0.1:80/a?b=c&d'`);
});
