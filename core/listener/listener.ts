import type { SocketHandler } from "bun";
import type { Clock, ConnectionFacts, Log } from "sluice/plugin";
import { formatAddress } from "../../config/address.ts";
import type { Address, Limits, ListenerProtocol } from "../../config/types.ts";
import { bunSocketHandlers, BunWire } from "../http1/bun-wire.ts";
import { Sweeper } from "../http1/deadlines.ts";
import { copyOf, encodeResponse } from "../http1/encoder.ts";
import { createHttp1Server } from "../http1/server.ts";
import type { Wire, WireOwner } from "../http1/wire.ts";
import { TCP_KEEPALIVE } from "../net/keep-alive.ts";
import { bind, type Bound } from "./bind.ts";
import { FrontConnection, type FrontHost, FrontWire } from "./front-connection.ts";
import { http11Required } from "./h2-frames.ts";
import { createHttp2Server } from "./h2-server.ts";
import { HttpDate } from "./http-date.ts";
import type { GatewayHandler } from "./inbound.ts";
import type { ProtocolServer } from "./protocol-server.ts";
import { type ListenerEvent, Refusals } from "./refusals.ts";
import type { TlsMaterial } from "./tls-material.ts";
import { type TlsOptions, tlsOptions, upgradeToTls } from "./tls-upgrade.ts";

/** What may change while a listener is open; connections that are accepted later see it. */
export interface ListenerSettings {
  readonly limits: Limits;
  readonly protocols: readonly ListenerProtocol[];
  /** Undefined for clear text. */
  readonly tls: TlsMaterial | undefined;
  /** A PROXY header is expected, and believed from trusted peers only. */
  readonly proxyProtocol: boolean;
  /** Whether an address is in `trusted_proxies`; IPv4 in dotted form, IPv6 as RFC 5952 has it. */
  readonly trusts: (address: string) => boolean;
}

export interface ListenerOptions extends ListenerSettings {
  readonly address: Address;
  readonly handler: GatewayHandler;
  readonly clock: Clock;
  readonly log: Log;
  /** A connection was refused before it could carry a request. */
  readonly onEvent?: (kind: ListenerEvent) => void;
  /** Several processes listen on the port; an address in use is not noticed then. @default false */
  readonly reusePort?: boolean;
}

export interface Listener {
  /** As an operator writes it, with the port that was really taken: `127.0.0.1:8080`, `unix:/run/x.sock`. */
  readonly address: string;
  /** 0 for a unix socket. */
  readonly port: number;
  /** Open connections. */
  readonly connections: number;
  update(settings: Partial<ListenerSettings>): void;
  /**
   * Stops accepting. Connections that carry nothing are closed; the others finish what they carry and are told
   * to bring no more (`Connection: close`, GOAWAY).
   */
  drain(): void;
  /** Stops accepting and cuts what is left. */
  close(): void;
}

/**
 * Opens one port (or unix socket) for HTTP/1.1, HTTP/2 and gRPC.
 * @throws Error of one line that names the address, where it cannot be listened on
 */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const front = new Front(options);
  await front.listen();
  return front;
}

class Front implements Listener, FrontHost {
  readonly unix: boolean;
  address: string;
  port = 0;
  connections = 0;
  tls: TlsOptions | undefined;
  #settings: ListenerSettings;
  readonly #options: ListenerOptions;
  readonly #http1: ProtocolServer;
  readonly #http2: ProtocolServer;
  readonly #date: HttpDate;
  readonly #refusals: Refusals;
  readonly #pending = new Set<FrontConnection>();
  readonly #sweeper: Sweeper;
  readonly #perAddress = new Map<string, number>();
  readonly #tlsHandlers: SocketHandler<BunWire>;
  #bound: Bound | undefined;

  constructor(options: ListenerOptions) {
    const { address, handler, clock, log } = options;
    this.#options = options;
    this.#settings = options;
    this.unix = address.kind === "unix";
    this.address = formatAddress(address);
    const limits = (): Limits => this.#settings.limits;
    this.#http1 = createHttp1Server({ handler, limits, clock, log });
    this.#http2 = createHttp2Server({
      handler,
      limits,
      clock,
      log,
      protocols: () => this.#settings.protocols,
    });
    this.#date = new HttpDate(clock);
    this.#refusals = new Refusals(this.address, clock, log, options.onEvent);
    this.#sweeper = new Sweeper(clock, limits);
    this.#tlsHandlers = this.#telling(
      bunSocketHandlers({
        opened() {},
        handshake(wire, ok, error) {
          const { connection, options: offered } = wire as SecureWire;
          if (ok) connection.secured(wire, offered);
          else connection.handshakeFailed(error);
        },
      }),
    );
    this.#applyTls();
  }

  get proxyProtocol(): boolean {
    return this.#settings.proxyProtocol;
  }

  get patience(): number {
    return this.#settings.limits.headerTimeout;
  }

  async listen(): Promise<void> {
    const { address, reusePort } = this.#options;
    const bound = await bind(address, this.#acceptHandlers(), reusePort ?? false);
    this.#bound = bound;
    if (address.kind === "unix") return;
    this.port = "port" in bound ? bound.port : 0;
    this.address = formatAddress({ ...address, port: this.port });
  }

  update(settings: Partial<ListenerSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
    this.#applyTls();
  }

  drain(): void {
    this.#bound?.stop(false);
    this.#http1.drain();
    this.#http2.drain();
    for (const connection of this.#pending) connection.drain();
  }

  close(): void {
    this.#http1.destroy();
    this.#http2.destroy();
    for (const connection of this.#pending) connection.destroy();
    this.#bound?.stop(true);
  }

  now(): number {
    return this.#options.clock.monotonic();
  }

  trusts(address: string): boolean {
    return this.#settings.trusts(address);
  }

  admit(wire: FrontWire, address: string): boolean {
    // Who comes over a unix socket without a PROXY header has no address to tell apart by.
    if (this.unix && !this.proxyProtocol) return true;
    const open = this.#perAddress.get(address) ?? 0;
    if (open >= this.#settings.limits.connectionsPerAddress) return false;
    this.#perAddress.set(address, open + 1);
    wire.address = address;
    return true;
  }

  upgrade(connection: FrontConnection, wire: FrontWire, options: TlsOptions): Wire {
    const secure = new SecureWire(connection, options);
    if (wire.socket !== undefined) upgradeToTls(wire.socket, options, secure, this.#tlsHandlers);
    return secure;
  }

  refused(kind: ListenerEvent, address: string, detail?: string): void {
    this.#refusals.add(kind, address, detail);
  }

  handOver(protocol: "http1" | "http2", wire: Wire, facts: ConnectionFacts): WireOwner | undefined {
    const { protocols } = this.#settings;
    if (protocol === "http1") {
      if (protocols.includes("http1")) return this.#http1.accept(wire, facts, NOTHING);
      wire.write(this.#versionRefusal(facts));
    } else {
      if (servesHttp2(protocols)) return this.#http2.accept(wire, facts, NOTHING);
      wire.write(http11Required());
    }
    wire.end();
    return undefined;
  }

  settled(connection: FrontConnection): void {
    this.#pending.delete(connection);
    this.#sweeper.delete(connection);
  }

  #applyTls(): void {
    const { tls, protocols } = this.#settings;
    if (tls === undefined) {
      this.tls = undefined;
      return;
    }
    const alpn: ("h2" | "http/1.1")[] = servesHttp2(protocols) ? ["h2"] : [];
    if (protocols.includes("http1")) alpn.push("http/1.1");
    this.tls = tlsOptions(tls, alpn);
  }

  #acceptHandlers(): SocketHandler<BunWire> {
    const handlers = this.#telling(
      bunSocketHandlers({ opened: (wire) => this.#accepted(wire as FrontWire) }),
    );
    return {
      ...handlers,
      open: (socket) => {
        socket.data = new FrontWire();
        void handlers.open?.(socket);
      },
      close: (socket, error) => {
        const open = socket.data.socket !== undefined;
        void handlers.close?.(socket, error);
        if (open) this.#closed(socket.data as FrontWire);
      },
    };
  }

  /** The platform gives our own exceptions to the same callback as a failed TLS session: those are no secret. */
  #telling(handlers: SocketHandler<BunWire>): SocketHandler<BunWire> {
    return {
      ...handlers,
      error: (socket, error) => {
        if (!("code" in error)) this.#options.log.error({ err: error }, "serving a connection failed");
        void handlers.error?.(socket, error);
      },
    };
  }

  #accepted(wire: FrontWire): void {
    // A client that is gone without a FIN would keep a silent stream for ever.
    if (!this.unix) wire.socket?.setKeepAlive(true, TCP_KEEPALIVE);
    const connection = new FrontConnection(this, wire);
    wire.owner = connection;
    this.#pending.add(connection);
    this.#sweeper.add(connection);
    if (++this.connections > this.#settings.limits.connections) connection.refuse("connections");
    else connection.begin();
  }

  #closed(wire: FrontWire): void {
    this.connections--;
    const { address } = wire;
    if (address === undefined) return;
    const open = (this.#perAddress.get(address) ?? 1) - 1;
    if (open > 0) this.#perAddress.set(address, open);
    else this.#perAddress.delete(address);
  }

  /** An HTTP/1.1 answer to a client of HTTP/1 where that is not served. */
  #versionRefusal(facts: ConnectionFacts): Uint8Array {
    const { headers, body } = this.#options.handler.rejected({
      connection: facts,
      httpVersion: "1.1",
      code: "http_version_not_supported",
      reason: "protocol",
      message: "HTTP/1.1 is not served here",
      method: undefined,
      rawTarget: undefined,
    });
    const head = { status: 505, headers, framing: body.byteLength, connection: "close" };
    return copyOf(encodeResponse({ ...head, date: this.#date.value() }, body));
  }
}

/** The decrypted side of a connection, and what its handshake was about. */
class SecureWire extends BunWire {
  readonly connection: FrontConnection;
  readonly options: TlsOptions;

  constructor(connection: FrontConnection, options: TlsOptions) {
    super(connection);
    this.connection = connection;
    this.options = options;
  }
}

const NOTHING = new Uint8Array(0);

function servesHttp2(protocols: readonly ListenerProtocol[]): boolean {
  return protocols.includes("http2") || protocols.includes("grpc");
}
