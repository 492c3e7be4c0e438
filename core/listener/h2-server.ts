import { createServer, type Http2Server } from "node:http2";
import type { ConnectionFacts } from "sluice/plugin";
import type { Limits } from "../../config/types.ts";
import type { Wire, WireOwner } from "../http1/wire.ts";
import { H2Connection, RECEIVE_WINDOW } from "./h2-connection.ts";
import type { GuardLimits } from "./h2-guard.ts";
import type { H2Shared, Http2ServerOptions } from "./h2-shared.ts";
import { BATCH } from "./h2-socket.ts";
import { HttpDate } from "./http-date.ts";
import type { ProtocolServer } from "./protocol-server.ts";

export type { Http2ServerOptions } from "./h2-shared.ts";

/** Milliseconds between two looks at all connections: how late a deadline may be. */
const SWEEP = 500;
const BOTH = ["http1", "http2", "grpc"] as const;

/** The HTTP/2 server behind the front: gRPC and everything else, on connections that the front accepted. */
export function createHttp2Server(options: Http2ServerOptions): ProtocolServer {
  return new H2Server(options);
}

class H2Server implements ProtocolServer, H2Shared {
  readonly handler: H2Shared["handler"];
  readonly limits: H2Shared["limits"];
  readonly protocols: H2Shared["protocols"];
  readonly clock: H2Shared["clock"];
  readonly log: H2Shared["log"];
  readonly date: HttpDate;
  readonly scratch = new Uint8Array(BATCH);
  now: number;
  readonly #open = new Set<H2Connection>();
  #draining = false;
  #stopSweep: (() => void) | undefined;
  /** Sessions take their settings from the server that makes them: one for each set of limits. */
  #made: { limits: Limits; guard: GuardLimits; server: Http2Server } | undefined;

  constructor(options: Http2ServerOptions) {
    this.handler = options.handler;
    this.limits = options.limits;
    this.protocols = options.protocols ?? (() => BOTH);
    this.clock = options.clock;
    this.log = options.log;
    this.date = new HttpDate(options.clock);
    this.now = options.clock.monotonic();
  }

  get connections(): number {
    return this.#open.size;
  }

  accept(wire: Wire, facts: ConnectionFacts, first: Uint8Array): WireOwner {
    this.#stopSweep ??= this.#startSweep();
    const { server, guard } = this.#serverFor(this.limits());
    const connection = new H2Connection(this, server, guard, wire, facts, this.#forget);
    this.#open.add(connection);
    if (first.byteLength > 0) connection.data(first);
    if (this.#draining) connection.drain();
    return connection;
  }

  drain(): void {
    this.#draining = true;
    for (const connection of this.#open) connection.drain();
  }

  destroy(): void {
    for (const connection of this.#open) connection.destroy();
  }

  readonly #forget = (connection: H2Connection): void => {
    this.#open.delete(connection);
    if (this.#open.size > 0) return;
    this.#stopSweep?.();
    this.#stopSweep = undefined;
  };

  #startSweep(): () => void {
    this.now = this.clock.monotonic();
    return this.clock.setInterval(() => {
      this.now = this.clock.monotonic();
      for (const connection of this.#open) connection.sweep(this.now);
    }, SWEEP);
  }

  #serverFor(limits: Limits): { guard: GuardLimits; server: Http2Server } {
    if (this.#made?.limits === limits) return this.#made;
    // Twice what is served: what is somewhat too large is answered with 431, what is far too large is reset. In
    // SETTINGS_MAX_HEADER_LIST_SIZE a field counts 32 bytes more than its text (RFC 9113 §6.5.2).
    const blockBytes = 2 * (limits.headerBytes + limits.url);
    const server = createServer({
      settings: {
        maxConcurrentStreams: limits.streams,
        initialWindowSize: RECEIVE_WINDOW,
        maxHeaderListSize: blockBytes + 64 * limits.headerCount,
        enableConnectProtocol: false,
      },
      maxHeaderListPairs: 2 * limits.headerCount + 8,
      // An upstream's fields pass as they are, doubled ones too; a request's are checked when they are read.
      strictSingleValueFields: false,
      strictFieldWhitespaceValidation: false,
    });
    server.on("sessionError", ignore);
    this.#made = { limits, guard: { resets: limits.resets, blockBytes }, server };
    return this.#made;
  }
}

function ignore(): void {}
