import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type TLSSocket } from "node:tls";
import { type TestCertificates, testCertificates } from "../listener/test-certificates.ts";
import { type BunWire, bunSocketHandlers } from "./bun-wire.ts";
import { eventually, RawClient } from "./test-server.ts";

let certificates: TestCertificates;
let tls: { cert: string; key: string };
beforeAll(async () => {
  certificates = testCertificates();
  const pair = certificates.selfSigned("wire");
  tls = { cert: await Bun.file(pair.cert).text(), key: await Bun.file(pair.key).text() };
});
afterAll(() => certificates[Symbol.dispose]());

/** A listener whose connections tell what they heard. */
function listen(options: { tls?: typeof tls } = {}) {
  const events: string[] = [];
  const wires: BunWire[] = [];
  const handlers = bunSocketHandlers({
    opened(wire) {
      wires.push(wire);
      wire.owner = {
        data: (chunk) => void events.push(Buffer.from(chunk).toString()),
        drained() {},
        ended: () => void events.push("ended"),
        closed: () => void events.push(`closed${wire.closeError === undefined ? "" : " (error)"}`),
      };
    },
    ...(options.tls === undefined ? {} : { handshake: () => void events.push("secured") }),
  });
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    ...options,
    socket: handlers,
  });
  return { events, wires, port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}

/** A TLS peer that goes on for as long as it is let. */
async function tlsPeer(port: number) {
  const socket: TLSSocket = connect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    allowHalfOpen: true,
  } as Parameters<typeof connect>[0]);
  const peer = { socket, received: 0, ended: false };
  socket.on("data", (chunk: Buffer) => void (peer.received += chunk.byteLength));
  socket.on("end", () => void (peer.ended = true));
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()));
  return peer;
}

describe("in clear text", () => {
  test("a peer's FIN is heard before and after ours, and a reset is none", async () => {
    using server = listen();
    const first = await RawClient.connect(server.port, "a");
    first.finish();
    await eventually(() => server.events.includes("ended"));
    server.wires[0]!.end();
    await eventually(() => server.events.includes("closed"));
    expect(server.events).toEqual(["a", "ended", "closed"]);

    server.events.length = 0;
    const second = await RawClient.connect(server.port);
    await eventually(() => server.wires.length === 2);
    server.wires[1]!.end();
    await second.ended();
    await second.send("b");
    second.finish();
    await eventually(() => server.events.includes("closed"));
    expect(server.events).toEqual(["b", "ended", "closed"]);

    server.events.length = 0;
    const third = await RawClient.connect(server.port);
    await eventually(() => server.wires.length === 3);
    server.wires[2]!.end();
    await third.ended();
    third.reset();
    await eventually(() => server.events.length > 0);
    expect(server.events).toEqual(["closed (error)"]);
  });

  test.each(["close", "destroy"] as const)("%s is the last thing its owner hears of, once", async (how) => {
    using server = listen();
    const client = await RawClient.connect(server.port);
    await eventually(() => server.wires.length === 1);
    const [wire] = server.wires;
    wire!.write(Buffer.from("bye"));
    wire![how]();
    wire![how]();
    await client.ended();
    expect(client.end).toBe(how === "close" ? "fin" : "reset");
    if (how === "close") expect(client.received).toBe("bye");
    expect(server.events).toEqual(["closed"]);
    expect(wire!.write(Buffer.from("x"))).toBe(-1);
  });
});

describe("over TLS", () => {
  test("close does not wait for a peer that never closes; what was written arrives whole", async () => {
    using server = listen({ tls });
    const peer = await tlsPeer(server.port);
    await eventually(() => server.events.length === 1);
    const [wire] = server.wires;
    expect(wire!.write(new Uint8Array(100_000))).toBe(100_000);
    wire!.close();
    await eventually(() => server.events.length > 1);
    expect(server.events).toEqual(["secured", "closed"]);
    await eventually(() => peer.ended);
    expect(peer.received).toBe(100_000);
    peer.socket.destroy();
  });

  test("close tells the peer that this is the end and no truncation (RFC 8446 §6.1)", async () => {
    using server = listen({ tls });
    const peer = Bun.spawn(["openssl", "s_client", "-quiet", "-connect", `127.0.0.1:${server.port}`], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    void peer.stdin.write("hi\n");
    void peer.stdin.flush();
    await eventually(() => server.events.length === 2);
    server.wires[0]!.write(Buffer.from("bye"));
    server.wires[0]!.close();
    expect(await new Response(peer.stdout).text()).toBe("bye");
    expect(await new Response(peer.stderr).text()).not.toContain("unexpected eof");
    expect(await peer.exited).toBe(0);
  });

  test("ended is heard once, before and after our own FIN", async () => {
    using server = listen({ tls });
    for (const ours of [false, true]) {
      server.events.length = 0;
      server.wires.length = 0;
      const peer = await tlsPeer(server.port);
      await eventually(() => server.events.length === 1);
      const [wire] = server.wires;
      if (ours) {
        wire!.end();
        await eventually(() => peer.ended);
      }
      peer.socket.end();
      await eventually(() => server.events.length > 1);
      wire!.end();
      await eventually(() => server.events.includes("closed"));
      expect(server.events).toEqual(["secured", "ended", "closed"]);
    }
  });
});
