import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createFakeClock } from "sluice/testing";
import { temporaryDir } from "../../testing/temporary-dir.ts";
import { peer, targetOf, until } from "../test-kit.ts";
import { probeTcp } from "./tcp-probe.ts";
import { fullBacklog } from "./test-full-backlog.ts";
import { watch } from "./test-watch.ts";

const TCP = { kind: "tcp" } as const;

describe("TCP checks", () => {
  test("connecting is enough; nothing is sent and the connection is closed", async () => {
    using target = peer((connection) => connection.write("220 hello\r\n"));
    using health = watch({ port: target.port, config: TCP });
    for (let i = 0; i < 3; i++) {
      expect(await health.next()).toBe("true connected");
      await target.connections[i]!.over;
      expect(target.connections[i]!.received).toBe("");
    }
    expect(health.transports).toHaveLength(0);
  });

  test("a port that is closed and opened again", async () => {
    const first = peer();
    using health = watch({ port: first.port, config: TCP });
    expect(await health.next()).toBe("true connected");
    first[Symbol.dispose]();
    for (let i = 0; i < 3; i++) expect(await health.next()).toBe("false connect");
    using _second = Bun.listen({ hostname: "127.0.0.1", port: first.port, socket: { data() {} } });
    for (let i = 0; i < 2; i++) expect(await health.next()).toBe("true connected");
    expect(health.changes).toEqual(["false connect", "true connected"]);
  });

  test("the address that the name was resolved to", async () => {
    using target = peer();
    using health = watch({
      port: target.port,
      config: TCP,
      target: { host: "nowhere.invalid", address: "127.0.0.1" },
    });
    expect(await health.next()).toBe("true connected");
  });

  test("a unix socket, and one that is not there", async () => {
    using dir = temporaryDir();
    const socketPath = join(dir.path, "peer.sock");
    using _listener = Bun.listen({ unix: socketPath, socket: { data() {} } });
    using health = watch({ socketPath, config: TCP });
    expect(await health.next()).toBe("true connected");
    using missing = watch({ socketPath: `${socketPath}.not`, config: TCP });
    expect(await missing.next()).toBe("false connect");
  });
});

describe("a target whose kernel answers nothing", () => {
  test.each([["tcp"], ["http"]] as const)(
    "%s: timeout each time, and the first check after it is back connects",
    async (kind) => {
      using target = await fullBacklog();
      using elsewhere = peer();
      using health = watch({ port: target.port, config: { kind, fall: 2, rise: 1 } });
      for (let i = 0; i < 2; i++) {
        // While others connect, and long done.
        const others = async () => {
          for (let n = 0; n < 10; n++) expect(await connects(elsewhere.port)).toBe(true);
        };
        expect(await health.nextHanging(others)).toBe("false timeout");
      }
      expect(health.changes).toEqual(["false timeout"]);
      target.accept();
      await health.begin();
      if (kind === "tcp") expect(await health.verdict()).toBe("true connected");
      // Nobody speaks behind the port.
      else await until(() => health.transports.at(-1)!.connections.open === 1);
    },
  );
});

const connects = (port: number) => probeTcp(targetOf({ port }), 1_000, createFakeClock());

test("probeTcp answers whether a connection comes to stand in time", async () => {
  const clock = createFakeClock();
  using target = peer();
  expect(await probeTcp(targetOf({ port: target.port }), 1_000, clock)).toBe(true);
  expect(clock.pending).toBe(0);
  target[Symbol.dispose]();
  expect(await probeTcp(targetOf({ port: target.port }), 1_000, clock)).toBe(false);
  using silent = await fullBacklog();
  const probing = probeTcp(targetOf({ port: silent.port }), 1_000, clock);
  using elsewhere = peer();
  for (let n = 0; n < 10; n++) expect(await connects(elsewhere.port)).toBe(true);
  await clock.advance(1_000);
  expect(await probing).toBe(false);
});
