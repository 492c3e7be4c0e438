import { Duplex } from "node:stream";
import { createSecureContext, TLSSocket } from "node:tls";
import type { TlsFacts } from "sluice/plugin";
import type { Wire, WireOwner } from "../http1/wire.ts";
import { tlsFacts } from "./tls-facts.ts";
import type { TlsOptions } from "./tls-upgrade.ts";

/** What becomes of the handshake; one of them is called, once. */
export interface TlsStreamEvents {
  /** Answers who takes the decrypted connection. */
  secured(wire: Wire, facts: TlsFacts): WireOwner;
  failed(reason: "handshake" | "certificate", error: Error | undefined): void;
}

/**
 * TLS on a wire of which bytes were read already: `upgradeTLS` starts at the socket, so a ClientHello that came in
 * one piece with a PROXY header would be lost to it. Slower than that: the records pass two streams.
 * @param owner hears of the connection's end until the handshake is over
 * @returns the owner of the encrypted wire
 */
export function acceptTlsOver(
  wire: Wire,
  first: Uint8Array,
  options: TlsOptions,
  owner: WireOwner,
  events: TlsStreamEvents,
): WireOwner {
  const stream = new TlsStream(wire, options, owner, events);
  stream.data(first);
  return stream;
}

class TlsStream implements Wire, WireOwner {
  readonly #raw: Wire;
  readonly #duplex: RawDuplex;
  readonly #tls: TLSSocket;
  readonly #events: TlsStreamEvents;
  #owner: WireOwner;
  #settled = false;
  #over = false;

  constructor(raw: Wire, options: TlsOptions, owner: WireOwner, events: TlsStreamEvents) {
    this.#raw = raw;
    this.#owner = owner;
    this.#events = events;
    this.#duplex = new RawDuplex(raw);
    const { cert, key, clientCa, minVersion } = options.material;
    const mutual = clientCa !== undefined;
    const tls = new TLSSocket(this.#duplex, {
      isServer: true,
      secureContext: createSecureContext({
        cert,
        key,
        minVersion: `TLSv${minVersion}`,
        ...(mutual ? { ca: clientCa } : {}),
      }),
      ALPNProtocols: [...options.alpn],
      requestCert: mutual,
      // Checked below: here it would end the connection without telling.
      rejectUnauthorized: false,
    });
    this.#tls = tls;
    tls.on("secure", () => this.#secured(mutual));
    tls.on("error", (error) => this.#fail("handshake", error));
    tls.on("close", () => this.destroy());
  }

  // The encrypted side.

  data(chunk: Uint8Array): void {
    if (!this.#over) this.#duplex.receive(chunk);
  }

  drained(): void {
    this.#duplex.drained();
  }

  ended(): void {
    this.#duplex.push(null);
  }

  closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#settled = true;
    this.#duplex.destroy();
    this.#tls.destroy();
    this.#owner.closed();
  }

  // The decrypted side.

  write(bytes: Uint8Array, length = bytes.byteLength): number {
    if (this.#over) return -1;
    if (this.#tls.writableNeedDrain) return 0;
    // The caller may use its memory again; a stream keeps what it is given.
    this.#tls.write(bytes.slice(0, length));
    return length;
  }

  pause(): void {
    this.#tls.pause();
  }

  resume(): void {
    this.#tls.resume();
  }

  end(): void {
    this.#tls.end();
  }

  close(): void {
    this.#duplex.closeAtEnd = true;
    if (this.#duplex.writableFinished) this.#raw.close();
    else this.#tls.end();
  }

  destroy(): void {
    this.#raw.destroy();
  }

  #secured(mutual: boolean): void {
    if (this.#settled || this.#over) return;
    const tls = this.#tls;
    if (mutual && !tls.authorized) {
      this.#fail("certificate", tls.authorizationError);
      return;
    }
    this.#settled = true;
    const owner = this.#events.secured(
      this,
      tlsFacts({
        version: tls.getProtocol(),
        cipher: tls.getCipher(),
        serverName: (tls as TLSSocket & { servername?: unknown }).servername,
        alpn: tls.alpnProtocol,
        certificate: mutual ? tls.getPeerCertificate() : undefined,
      }),
    );
    this.#owner = owner;
    tls.on("data", (chunk: Uint8Array) => {
      if (!this.#over) owner.data(chunk);
    });
    tls.on("end", () => {
      if (!this.#over) owner.ended();
    });
    tls.on("drain", () => {
      if (!this.#over) owner.drained();
    });
  }

  #fail(reason: "handshake" | "certificate", error: Error | undefined): void {
    if (!this.#settled) {
      this.#settled = true;
      this.#events.failed(reason, error);
    }
    this.destroy();
  }
}

/** A wire as the stream that `TLSSocket` wants underneath. */
class RawDuplex extends Duplex {
  /** Both directions are closed when everything was written, not only ours. */
  closeAtEnd = false;
  readonly #wire: Wire;
  #rest: { bytes: Uint8Array; done: (error?: Error | null) => void } | undefined;

  constructor(wire: Wire) {
    super({ allowHalfOpen: true });
    this.#wire = wire;
    this.on("error", ignore);
  }

  receive(chunk: Uint8Array): void {
    if (!this.push(chunk)) this.#wire.pause();
  }

  drained(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    this.#rest = undefined;
    this._write(rest.bytes, "buffer", rest.done);
  }

  override _read(): void {
    this.#wire.resume();
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    const taken = this.#wire.write(bytes);
    if (taken < 0) done(new Error("the connection is closed"));
    else if (taken === bytes.byteLength) done();
    else this.#rest = { bytes: bytes.subarray(taken), done };
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.closeAtEnd) this.#wire.close();
    else this.#wire.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#rest = undefined;
    done(error);
  }
}

function ignore(): void {}
