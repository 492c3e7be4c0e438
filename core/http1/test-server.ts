import type { Socket } from "bun";
import { type ConnectionFacts, ERROR_CODES, HeaderList } from "sluice/plugin";
import { createFakeClock, createMemoryLog, type FakeClock, type MemoryLog } from "sluice/testing";
import type { Limits } from "../../config/types.ts";
import type { Rejection } from "../listener/inbound.ts";
import type { ProtocolServer } from "../listener/protocol-server.ts";
import { type BunWire, bunSocketHandlers } from "./bun-wire.ts";
import type { Http1Inbound } from "./http1-inbound.ts";
import { createHttp1Server } from "./server.ts";

/* Helpers of this folder's tests: a server on a real port, and a client that sends exactly what it is told. */

export const LIMITS: Limits = {
  headerBytes: 65_536,
  headerCount: 100,
  body: 1_048_576,
  bufferedBody: 8_388_608,
  url: 8192,
  streams: 128,
  resets: 500,
  headerTimeout: 10_000,
  bodyTimeout: 30_000,
  idleTimeout: 75_000,
  tunnelTimeout: 3_600_000,
  connections: 1000,
  connectionsPerAddress: 1000,
};

export const FACTS: ConnectionFacts = {
  socketAddress: "127.0.0.1",
  socketPort: 1,
  peerAddress: "127.0.0.1",
  peerPort: 1,
  localAddress: "127.0.0.1",
  localPort: 1,
  tls: undefined,
};

export interface TestServer extends Disposable {
  readonly port: number;
  readonly server: ProtocolServer;
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly rejections: Rejection[];
  /** Every connection's wire, oldest first. */
  readonly wires: BunWire[];
  connect(text?: string): Promise<RawClient>;
}

/** Serves `handle` on a free port. Refusals are answered with their code as the body. */
export function testServer(
  handle: (inbound: Http1Inbound) => unknown,
  limits: Partial<Limits> = {},
): TestServer {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const rejections: Rejection[] = [];
  const wires: BunWire[] = [];
  const all = { ...LIMITS, ...limits };
  const server = createHttp1Server({
    handler: {
      handle: (inbound) => void handle(inbound as Http1Inbound),
      rejected(rejection) {
        rejections.push(rejection);
        return refusal(rejection);
      },
    },
    limits: () => all,
    clock,
    log,
  });
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: bunSocketHandlers({
      opened(wire) {
        wires.push(wire);
        wire.owner = server.accept(wire, FACTS, new Uint8Array(0));
      },
    }),
  });
  return {
    port: listener.port,
    server,
    clock,
    log,
    rejections,
    wires,
    connect: (text) => RawClient.connect(listener.port, text),
    [Symbol.dispose]() {
      listener.stop(true);
      server.destroy();
    },
  };
}

/** What a refusal is answered with here: its code as the body. */
export function refusal({ code }: Rejection): { headers: HeaderList; body: Uint8Array } {
  return { headers: new HeaderList(), body: Buffer.from(code) };
}

/** The status that the gateway's error table has for what a handler caught. */
export function statusOf(error: unknown): number {
  const code = (error as { code?: keyof typeof ERROR_CODES }).code;
  return code === undefined ? 500 : ERROR_CODES[code].status;
}

/** A TCP client that sends bytes and shows what came back. */
export class RawClient {
  /** Everything received, one character a byte. */
  received = "";
  /** How the server ended the connection; undefined while it is open. */
  end: "fin" | "reset" | undefined;
  #socket: Socket | undefined;
  #waiting: (() => void)[] = [];

  static async connect(port: number, text?: string): Promise<RawClient> {
    const client = new RawClient();
    client.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      socket: {
        data(_, bytes) {
          client.received += bytes.toString("latin1");
          client.#wake();
        },
        end() {
          client.end ??= "fin";
          client.#wake();
        },
        close(_, error) {
          client.end ??= error === undefined ? "fin" : "reset";
          client.#wake();
        },
        error() {},
        drain() {
          client.#wake();
        },
      },
    });
    if (text !== undefined) await client.send(text);
    return client;
  }

  /** Sends all of it, as fast as the server takes it. */
  async send(data: string | Uint8Array): Promise<void> {
    let bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    while (bytes.byteLength > 0) {
      const taken = this.#socket!.write(bytes);
      if (taken < 0) return;
      bytes = bytes.subarray(taken);
      if (bytes.byteLength > 0) await this.#event();
    }
  }

  /** Sends what the kernel takes at once; answers how much that was. */
  offer(bytes: Uint8Array): number {
    return this.#socket!.write(bytes);
  }

  /** Resolves once `text` was received this many times, or `condition` holds. Rejects if the server ends first. */
  async until(condition: string | ((client: this) => boolean), times = 1): Promise<void> {
    const holds =
      typeof condition === "string"
        ? () => this.received.split(condition).length > times
        : () => condition(this);
    while (!holds()) {
      if (this.end !== undefined)
        throw new Error(`it ended (${this.end}) after ${JSON.stringify(this.received)}`);
      await this.#event();
    }
  }

  /** Resolves with everything received once the server has ended the connection. */
  async ended(): Promise<string> {
    while (this.end === undefined) await this.#event();
    return this.received;
  }

  /** Sends FIN; reading goes on. */
  finish(): void {
    this.#socket!.shutdown();
  }

  /** Leaves with RST. */
  reset(): void {
    this.#socket!.terminate();
  }

  pause(): void {
    this.#socket!.pause();
  }

  resume(): void {
    this.#socket!.resume();
  }

  #event(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Answers `condition` turning true; polls the event loop, not the time. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Lets the event loop take this many turns. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** The value that `read` has stopped changing at: the same for many turns of the event loop, each of which calls `act`. */
export async function settled(read: () => number, act?: () => void): Promise<number> {
  let value = read();
  for (let same = 0; same < 100; same++) {
    act?.();
    await turns(1);
    if (read() !== value) same = 0;
    value = read();
  }
  return value;
}
