import { expect, test } from "bun:test";
import { type ClientHttp2Stream, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { rawUpstream } from "./raw-upstream.ts";
import { harness } from "./test-harness.ts";
import { through } from "./test-through.ts";

function statusOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  return new Promise((resolve) => {
    stream.on("error", () => {});
    stream.once("response", (fields) => resolve(fields[":status"]));
  });
}

test("a silent client keeps a gRPC call over HTTP/2 open, but no connection of HTTP/1.1 and nothing that is not gRPC", async () => {
  let arrived = 0;
  let wake = Promise.withResolvers<void>();
  const http2 = createServer((request, response) => {
    request.once("data", () => {
      arrived++;
      wake.resolve();
      wake = Promise.withResolvers();
    });
    request.on("error", () => {});
    request.on("end", () => response.end());
  });
  http2.on("session", (session) => void session.on("error", () => {}));
  await new Promise<void>((resolve) => void http2.listen(0, "127.0.0.1", resolve));
  using http1 = rawUpstream([]);
  await using gate = harness({
    h1: { url: http1.url },
    h2: { url: `http://127.0.0.1:${(http2.address() as AddressInfo).port}`, protocol: "http2" },
  });
  using gateway = await through(gate, { bodyTimeout: 1_000 });
  const begin = (path: string, type: string) => {
    const stream = gateway.session.request({ ":method": "POST", ":path": path, "content-type": type });
    stream.write("a part");
    return stream;
  };
  const pinned = begin("/h1", "application/grpc");
  const posing = begin("/h2", "application/grpcfoo");
  const call = begin("/h2", "application/grpc+proto");
  const statuses = [statusOf(pinned), statusOf(posing), statusOf(call)];
  await http1.until("a part");
  while (arrived < 2) await wake.promise;

  const { clock } = gateway.served;
  await clock.advance(2_000);
  expect(await statuses[0]).toBe(408);
  expect(await statuses[1]).toBe(408);
  await http1.closed();
  await clock.advance(60_000);
  call.end();
  expect(await statuses[2]).toBe(200);
  http2.close();
});
