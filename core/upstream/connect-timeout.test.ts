import { expect, test } from "bun:test";
import { createFakeClock } from "sluice/testing";
import { failure, http1, http2, outbound, peer, until } from "./test-kit.ts";

/* Peers with which no connection comes to stand in time. */

for (const [protocol, transportOf] of [
  ["HTTP/1.1", http1],
  ["HTTP/2", http2],
] as const) {
  test(`${protocol}: a peer that accepts TCP and keeps silent in TLS is timeout.connect, and let go`, async () => {
    const clock = createFakeClock();
    using silent = peer();
    const transport = transportOf({ port: silent.port, clock, tls: { verify: false } });
    const failed = failure(transport.request(outbound({ timeouts: { connect: 2_000 } })));
    const connection = await silent.connection(0);
    await until(() => connection.bytes > 0);
    await clock.advance(2_100);
    expect((await failed).reason).toBe("timeout.connect");
    await connection.over;
    expect(transport.connections.open).toBe(0);
  });
}

test("HTTP/2: a peer that never sends SETTINGS is timeout.connect, and let go", async () => {
  const clock = createFakeClock();
  using silent = peer();
  const transport = http2({ port: silent.port, clock });
  const request = outbound({ timeouts: { connect: 2_000 } });
  const failed = failure(transport.request(request));
  const connection = await silent.connection(0);
  await connection.until("PRI * HTTP/2.0");
  await clock.advance(2_100);
  expect((await failed).reason).toBe("timeout.connect");
  expect(request.progress.sent).toBe(false);
  await connection.over;
});
