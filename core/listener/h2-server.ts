import type { ConnectionFacts } from "sluice/plugin";
import type { Limits } from "../../config/types.ts";
import { type Sweepable, Sweeper } from "../http1/deadlines.ts";
import type { Wire, WireOwner } from "../http1/wire.ts";
import { type ConnectionSettings, H2Connection } from "./h2-connection.ts";
import { largestHeaderList } from "./h2-headers.ts";
import type { H2Shared, Http2ServerOptions } from "./h2-shared.ts";
import { HttpDate } from "./http-date.ts";
import type { ProtocolServer } from "./protocol-server.ts";

export type { Http2ServerOptions } from "./h2-shared.ts";

/** A header block of so many bytes is read, whatever the limits are. */
const LEAST_BLOCK = 65_536;
/** No block that is this much larger than what is served is read. */
const MUCH_MORE = 1_048_576;

const BOTH = ["http1", "http2", "grpc"] as const;

/** The HTTP/2 server behind the front (RFC 9113): gRPC and everything else, on connections that the front accepted. */
export function createHttp2Server(options: Http2ServerOptions): ProtocolServer {
  return new H2Server(options);
}

interface Made extends ConnectionSettings {
  readonly limits: Limits;
}

class H2Server implements ProtocolServer, H2Shared, Sweepable {
  readonly handler: H2Shared["handler"];
  readonly limits: H2Shared["limits"];
  readonly protocols: H2Shared["protocols"];
  readonly clock: H2Shared["clock"];
  readonly log: H2Shared["log"];
  readonly date: HttpDate;
  now: number;
  readonly #open = new Set<H2Connection>();
  #draining = false;
  readonly #sweeper: Sweeper;
  /** What follows from the limits that connections are made with now. */
  #made: Made | undefined;

  constructor(options: Http2ServerOptions) {
    this.handler = options.handler;
    this.limits = options.limits;
    this.protocols = options.protocols ?? (() => BOTH);
    this.clock = options.clock;
    this.log = options.log;
    this.date = new HttpDate(options.clock);
    this.now = options.clock.monotonic();
    this.#sweeper = new Sweeper(options.clock, options.limits);
  }

  get connections(): number {
    return this.#open.size;
  }

  accept(wire: Wire, facts: ConnectionFacts, first: Uint8Array): WireOwner {
    if (this.#open.size === 0) this.#wake();
    const made = this.#settingsFor(this.limits());
    const connection = new H2Connection(this, made, wire, facts, this.#forget);
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

  sweep(now: number): void {
    this.now = now;
    for (const connection of this.#open) connection.sweep(now);
  }

  readonly #forget = (connection: H2Connection): void => {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#sweeper.delete(this);
  };

  #wake(): void {
    this.now = this.clock.monotonic();
    this.#sweeper.add(this);
  }

  #settingsFor(limits: Limits): Made {
    if (this.#made?.limits === limits) return this.#made;
    // What is too large is answered with 431, and what is far too large ends the connection or is reset.
    const most = limits.headerBytes + limits.url;
    const blockBytes = Math.max(LEAST_BLOCK, Math.min(4 * most, most + MUCH_MORE));
    this.#made = {
      limits,
      streams: limits.streams,
      resets: limits.resets,
      headerList: largestHeaderList(limits),
      // As long as it can be read it is answered; what a small block stands for may be no larger than a large one.
      read: { blockBytes, headerBytes: blockBytes, headerCount: Math.ceil(blockBytes / 32) },
    };
    return this.#made;
  }
}
