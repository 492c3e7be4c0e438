import type { Socket, SocketHandler } from "bun";
import type { Wire, WireOwner } from "./wire.ts";

/** What happens to a connection before anybody owns it. */
export interface BunWireHooks {
  /**
   * The TCP connection stands. For TLS this comes before the handshake when `handshake` is given, and after it
   * otherwise. Sets `wire.owner`.
   */
  opened(wire: BunWire): void;
  /** TLS only. `authorized` says whether the peer's certificate was verified; `error` why not. */
  handshake?(wire: BunWire, authorized: boolean, error: Error | null): void;
}

const NOBODY: WireOwner = { data() {}, drained() {}, ended() {}, closed() {} };

/** A TCP, unix or TLS socket of `Bun.listen` or `Bun.connect` as a {@link Wire}; it is the socket's `data`. */
export class BunWire implements Wire {
  /** Undefined until it is connected, and after it closed. */
  socket: Socket<BunWire> | undefined;
  /** Who receives the events; may be exchanged at any time. */
  owner: WireOwner;
  /** Why it closed, where the platform said so (`ECONNRESET` …). Set before `closed` is called. */
  closeError: Error | undefined;
  /** FIN was sent. */
  #ended = false;
  /** FIN came, or it was us who closed both directions. */
  #peerEnded = false;

  constructor(owner: WireOwner = NOBODY) {
    this.owner = owner;
  }

  write(bytes: Uint8Array, length = bytes.byteLength): number {
    const socket = this.socket;
    return socket === undefined ? -1 : socket.write(bytes, 0, length);
  }

  pause(): void {
    this.socket?.pause();
  }

  resume(): void {
    this.socket?.resume();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    // `shutdown` and not `end`: on this runtime `end` closes both directions.
    this.socket?.shutdown();
  }

  close(): void {
    const { socket } = this;
    if (socket === undefined) return;
    // Over TLS the platform's own `end` waits for the peer to close, too, and its `close` leaves close_notify out,
    // without which the peer takes the end for a truncation (RFC 8446 §6.1).
    this.end();
    this.#peerEnded = true;
    socket.close();
  }

  destroy(): void {
    this.#peerEnded = true;
    this.socket?.terminate();
  }

  /** The platform's `end`. */
  finished(): void {
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    this.owner.ended();
  }

  /** The platform's `close`: tells the owner, once. */
  gone(error: Error | undefined): void {
    if (this.socket === undefined) return;
    this.socket = undefined;
    this.closeError ??= error;
    // After our FIN the platform answers the peer's with this event alone, without an `end` before it.
    if (this.#ended && this.closeError === undefined) this.finished();
    const { owner } = this;
    this.owner = NOBODY;
    owner.closed();
  }
}

/**
 * The handler object for `Bun.listen({ socket, allowHalfOpen: true })` and `Bun.connect({ socket, data, … })`.
 * One serves every connection: its callbacks go to `socket.data`. For `Bun.listen` the wires are made here, for
 * `Bun.connect` pass `data: new BunWire(owner)`. `allowHalfOpen` must be true: without it a FIN closes both
 * directions before `ended` is heard.
 */
export function bunSocketHandlers(hooks: BunWireHooks): SocketHandler<BunWire> {
  const handlers: SocketHandler<BunWire> = {
    open(socket) {
      // A listener's sockets come without data, whatever the type says.
      const wire = (socket.data as BunWire | undefined) ?? new BunWire();
      wire.socket = socket;
      socket.data = wire;
      hooks.opened(wire);
    },
    data(socket, chunk) {
      socket.data.owner.data(chunk);
    },
    drain(socket) {
      socket.data.owner.drained();
    },
    end(socket) {
      socket.data.finished();
    },
    close(socket, error) {
      socket.data.gone(error);
    },
    error(socket, error) {
      // A failed TLS session, or a defect of ours in a callback: either way this connection is over.
      socket.data.closeError ??= error;
      socket.terminate();
    },
  };
  const handshake = hooks.handshake;
  if (handshake !== undefined) {
    handlers.handshake = (socket, authorized, error) => handshake.call(hooks, socket.data, authorized, error);
  }
  return handlers;
}
