import type { ConnectionFacts, TlsFacts } from "sluice/plugin";
import { BunWire } from "../http1/bun-wire.ts";
import type { Sweepable } from "../http1/deadlines.ts";
import type { Wire, WireOwner } from "../http1/wire.ts";
import { plainAddress, UNIX_PEER } from "./addresses.ts";
import { PREFACE } from "../http2/frames.ts";
import { type ProxyEndpoint, readProxyHeader } from "./proxy-protocol.ts";
import type { ListenerEvent } from "./refusals.ts";
import { acceptTlsOver } from "./tls-stream.ts";
import { type TlsOptions, upgradedFacts } from "./tls-upgrade.ts";

/** What the front knows of its listener. */
export interface FrontHost {
  readonly unix: boolean;
  readonly proxyProtocol: boolean;
  readonly tls: TlsOptions | undefined;
  /** Milliseconds that a connection has to show its protocol, PROXY header and TLS handshake included. */
  readonly patience: number;
  now(): number;
  trusts(address: string): boolean;
  /** Counts a connection of this address; false where that is one too many. */
  admit(wire: FrontWire, address: string): boolean;
  /** Lets an accepted socket go on in TLS; answers the decrypted wire, whose owner is `connection`. */
  upgrade(connection: FrontConnection, wire: FrontWire, options: TlsOptions): Wire;
  refused(kind: ListenerEvent, address: string, detail?: string): void;
  /** The protocol is known: answers who takes the connection, or undefined where it was answered and is closing. */
  handOver(protocol: "http1" | "http2", wire: Wire, facts: ConnectionFacts): WireOwner | undefined;
  /** The connection left the front's hands. */
  settled(connection: FrontConnection): void;
}

/** An accepted socket's wire; `address` is set while it counts towards the limit of that address. */
export class FrontWire extends BunWire {
  address: string | undefined;
}

// What comes next on the connection.
const PROXY_HEADER = 0;
const HANDSHAKE = 1;
const FIRST_BYTES = 2;
const CLOSING = 3;
const HANDED_OVER = 4;

/** How long a connection that was told to close may take. */
const CLOSE_TIME = 5_000;

const NOTHING = new Uint8Array(0);
const NOBODY: WireOwner = { data() {}, drained() {}, ended() {}, closed() {} };

/** A connection from its first byte until its protocol is known: PROXY header, TLS, preface. */
export class FrontConnection implements WireOwner, Sweepable {
  readonly #host: FrontHost;
  readonly #accepted: FrontWire;
  // Read at once: a socket that goes on in TLS forgets them.
  readonly #socketAddress: string;
  readonly #socketPort: number;
  readonly #localAddress: string;
  readonly #localPort: number;
  #source: ProxyEndpoint | undefined;
  #destination: ProxyEndpoint | undefined;
  /** The wire that the protocol's bytes are on: the accepted one, or TLS over it. */
  #wire: Wire;
  #tls: TlsFacts | undefined;
  #phase = FIRST_BYTES;
  /** What came and does not say enough yet. */
  #held: Uint8Array = NOTHING;
  #deadline: number;

  constructor(host: FrontHost, wire: FrontWire) {
    this.#host = host;
    this.#accepted = wire;
    this.#wire = wire;
    const socket = host.unix ? undefined : wire.socket;
    this.#socketAddress = socket === undefined ? UNIX_PEER : plainAddress(socket.remoteAddress);
    this.#socketPort = socket?.remotePort ?? 0;
    this.#localAddress = socket === undefined ? UNIX_PEER : plainAddress(socket.localAddress);
    this.#localPort = socket?.localPort ?? 0;
    this.#deadline = host.now() + host.patience;
  }

  /** The socket was accepted: nothing was read from it yet. */
  begin(): void {
    const host = this.#host;
    if (!host.proxyProtocol) {
      this.#identified(NOTHING);
      return;
    }
    // Who may connect to a unix socket is said by the file's permissions.
    if (host.unix || host.trusts(this.#socketAddress)) this.#phase = PROXY_HEADER;
    else this.refuse("proxy_untrusted");
  }

  data(chunk: Uint8Array): void {
    switch (this.#phase) {
      case PROXY_HEADER:
        this.#readProxyHeader(this.#join(chunk));
        break;
      case FIRST_BYTES:
        this.#readFirstBytes(this.#join(chunk));
        break;
    }
  }

  drained(): void {}

  ended(): void {
    // Whatever it was about to say, it will not; and what was told it has arrived.
    if (this.#phase === CLOSING) this.#wire.close();
    else this.#close();
  }

  closed(): void {
    this.#settle(CLOSING);
  }

  sweep(now: number): void {
    if (now < this.#deadline) return;
    if (this.#phase === CLOSING) {
      this.destroy();
      return;
    }
    // One that never said a word was kept ready by its client; that is no offence.
    if (this.#held.byteLength > 0 || this.#phase !== FIRST_BYTES) this.refuse("timeout");
    else this.#close();
  }

  /** Closes it if it has not begun to speak. */
  drain(): void {
    if (this.#held.byteLength === 0 && this.#phase !== HANDSHAKE) this.#close();
  }

  destroy(): void {
    this.#settle(CLOSING);
    this.#wire.destroy();
  }

  /** Closes it, counted and logged. */
  refuse(kind: ListenerEvent, detail?: string): void {
    if (this.#phase === CLOSING) return;
    this.#host.refused(kind, this.#source?.address ?? this.#socketAddress, detail);
    this.#close();
  }

  /** The handshake of `upgradeTLS` is over. */
  secured(wire: BunWire, options: TlsOptions): void {
    if (this.#phase !== HANDSHAKE) return;
    const facts = wire.socket === undefined ? undefined : upgradedFacts(wire.socket, options);
    if (facts === undefined) {
      const why = wire.socket?.getAuthorizationError()?.message;
      this.refuse("client_certificate", why);
      return;
    }
    wire.owner = this.#negotiated(wire, facts);
  }

  /** The handshake of `upgradeTLS` failed: the runtime closes the connection. */
  handshakeFailed(error: (Error & { code?: string }) | null): void {
    // Who leaves in the middle, a port scanner or a health check, is not worth a line.
    if (error?.code === "ECONNRESET") return;
    const message = error?.message ?? "";
    const anonymous = message.includes("PEER_DID_NOT_RETURN_A_CERTIFICATE");
    this.refuse(anonymous ? "client_certificate" : "tls_handshake", message);
  }

  #join(chunk: Uint8Array): Uint8Array {
    const held = this.#held;
    if (held.byteLength === 0) return chunk;
    const joined = new Uint8Array(held.byteLength + chunk.byteLength);
    joined.set(held);
    joined.set(chunk, held.byteLength);
    return joined;
  }

  #readProxyHeader(bytes: Uint8Array): void {
    const header = readProxyHeader(bytes);
    if (header === undefined) {
      this.#held = bytes;
      return;
    }
    if ("fault" in header) {
      this.refuse("proxy_header", header.fault);
      return;
    }
    this.#held = NOTHING;
    this.#source = header.source;
    this.#destination = header.destination;
    this.#phase = FIRST_BYTES;
    this.#identified(bytes.subarray(header.length));
  }

  /** The peer is known. `rest` was read behind the PROXY header. */
  #identified(rest: Uint8Array): void {
    const host = this.#host;
    const address = this.#source?.address ?? this.#socketAddress;
    if (!host.admit(this.#accepted, address)) {
      this.refuse("connections_per_address");
      return;
    }
    const { tls } = host;
    if (tls === undefined) {
      if (rest.byteLength > 0) this.#readFirstBytes(rest);
      return;
    }
    this.#phase = HANDSHAKE;
    if (rest.byteLength === 0) {
      this.#accepted.owner = NOBODY;
      this.#wire = host.upgrade(this, this.#accepted, tls);
      return;
    }
    this.#accepted.owner = acceptTlsOver(this.#accepted, rest, tls, this, {
      secured: (wire, facts) => this.#negotiated(wire, facts),
      failed: (reason, error) =>
        this.refuse(reason === "certificate" ? "client_certificate" : "tls_handshake", error?.message),
    });
  }

  /** TLS stands: the protocol is what ALPN says (RFC 9113 §3.2), and HTTP/1.1 where the client did not ask. */
  #negotiated(wire: Wire, facts: TlsFacts): WireOwner {
    this.#wire = wire;
    this.#tls = facts;
    return this.#handOver(facts.alpn === "h2" ? "http2" : "http1") ?? this;
  }

  #readFirstBytes(bytes: Uint8Array): void {
    const length = Math.min(bytes.byteLength, PREFACE.byteLength);
    let same = 0;
    while (same < length && bytes[same] === PREFACE[same]) same++;
    if (same === length && length < PREFACE.byteLength) {
      this.#held = bytes;
      return;
    }
    const owner = this.#handOver(same === PREFACE.byteLength ? "http2" : "http1");
    if (owner === undefined) return;
    // The owner first: what it does with the bytes may close the wire.
    this.#accepted.owner = owner;
    owner.data(bytes);
  }

  #handOver(protocol: "http1" | "http2"): WireOwner | undefined {
    const owner = this.#host.handOver(protocol, this.#wire, this.#facts());
    if (owner === undefined) {
      this.#host.refused("protocol", this.#source?.address ?? this.#socketAddress, protocol);
      this.#phase = CLOSING;
      this.#deadline = this.#host.now() + CLOSE_TIME;
      return undefined;
    }
    this.#settle(HANDED_OVER);
    return owner;
  }

  #facts(): ConnectionFacts {
    const source = this.#source;
    const destination = this.#destination;
    return {
      socketAddress: this.#socketAddress,
      socketPort: this.#socketPort,
      peerAddress: source?.address ?? this.#socketAddress,
      peerPort: source?.port ?? this.#socketPort,
      localAddress: destination?.address ?? this.#localAddress,
      localPort: destination?.port ?? this.#localPort,
      tls: this.#tls,
    };
  }

  #close(): void {
    if (this.#phase === CLOSING || this.#phase === HANDED_OVER) return;
    this.#phase = CLOSING;
    this.#deadline = this.#host.now() + CLOSE_TIME;
    this.#wire.close();
  }

  #settle(phase: typeof CLOSING | typeof HANDED_OVER): void {
    this.#phase = phase;
    this.#held = NOTHING;
    this.#host.settled(this);
  }
}
