import { expect, test } from "bun:test";
import type * as grpc from "@grpc/grpc-js";
import { HEADERS } from "../http2/frames.ts";
import { h2Peer } from "../upstream/test-h2-peer.ts";
import { startBinary } from "./binary.ts";
import { echoClient } from "./grpc-echo.ts";

test.each([
  ["behind its content", "\0\0\0\0\x03\n\x01x"],
  ["with its head", undefined],
])("a gRPC answer that ends %s, without a status, is its upstream's failure", async (_where, content) => {
  using upstream = h2Peer({
    frame(session, { type, stream }) {
      if (type !== HEADERS) return;
      const head: [string, string][] = [
        [":status", "200"],
        ["content-type", "application/grpc"],
      ];
      session.head(stream, head, content === undefined);
      if (content !== undefined) session.data(stream, content, true);
    },
  });
  await using gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
upstreams: { grpc: { protocol: grpc, targets: ["http://127.0.0.1:${upstream.port}"] } }
routes: [{ match: { path: /t.Echo/* }, upstream: grpc }]
`);
  const client = echoClient(gateway.listener());
  const { code } = await new Promise<grpc.ServiceError>((resolve) => {
    client.ServerStream({ text: "hang" }).once("error", resolve).resume();
  });
  client.close();
  expect([13, 14]).toContain(code);
  const line = await gateway.line(({ msg }) => msg === "request");
  expect(line).toMatchObject({ status: 200, failed: "upstream", reason: "protocol" });
});
