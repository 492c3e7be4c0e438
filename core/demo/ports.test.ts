import { expect, test } from "bun:test";
import { freePorts } from "./ports.ts";

function take(port: number): Bun.TCPSocketListener {
  return Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
}

test("a port that is taken is moved up to a free one", () => {
  using first = take(0);
  const { gateway, admin } = freePorts({ gateway: first.port, admin: first.port });
  expect(gateway).toBeGreaterThan(first.port);
  expect(admin).toBeGreaterThan(gateway);
  for (const port of [gateway, admin]) take(port).stop(true);
});

test("a port that is free is kept", () => {
  const probe = take(0);
  const { port } = probe;
  probe.stop(true);
  expect(freePorts({ gateway: port }).gateway).toBe(port);
});
