import type { ConnectionFacts, HeaderList } from "sluice/plugin";
import { createFakeClock, createMemoryLog } from "sluice/testing";
import type { Inbound } from "../listener/inbound.ts";
import type { ProtocolServer } from "../listener/protocol-server.ts";
import { createHttp1Server } from "./server.ts";
import { FACTS, LIMITS, refusal } from "./test-server.ts";
import type { Wire, WireOwner } from "./wire.ts";

/* A helper of this folder's tests: a server whose connections get their bytes in pieces of a test's choosing. */

/** A connection in memory: it takes everything, or what `room` leaves. */
export class MemoryWire implements Wire {
  written = "";
  paused = false;
  /** How it ended, if it did. */
  ended: "fin" | "closed" | "reset" | undefined;
  /** Bytes that it takes before it is full. */
  room = Infinity;
  readonly owner: WireOwner;

  /** @param first what was read before the protocol was known */
  constructor(server: ProtocolServer, facts: ConnectionFacts = FACTS, first = "") {
    this.owner = server.accept(this, facts, Buffer.from(first, "latin1"));
  }

  write(bytes: Uint8Array, length = bytes.byteLength): number {
    if (this.ended === "closed" || this.ended === "reset") return -1;
    const taken = Math.min(this.room, length);
    this.room -= taken;
    this.written += Buffer.from(bytes.buffer, bytes.byteOffset, taken).toString("latin1");
    return taken;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended ??= "fin";
  }
  close(): void {
    if (this.ended !== "reset") this.ended = "closed";
    this.owner.closed();
  }
  destroy(): void {
    this.ended = "reset";
    this.owner.closed();
  }
}

/** A server without a socket. Refusals are answered with their code as the body. */
export function memoryServer(handle: (inbound: Inbound) => unknown): ProtocolServer {
  return createHttp1Server({
    handler: {
      handle: (inbound) => void handle(inbound),
      rejected: (rejection): { headers: HeaderList; body: Uint8Array } => refusal(rejection),
    },
    limits: () => LIMITS,
    clock: createFakeClock(),
    log: createMemoryLog(),
  });
}
