import { EventEmitter } from "node:events";
import type { Wire } from "../http1/wire.ts";

/** Bytes that are gathered for one write. */
export const BATCH = 65_536;
/** Unsent bytes from which on the HTTP/2 session is told to wait. */
const HIGH_WATER = 65_536;
/** Unsent bytes from which on nothing more is read: a client that only sends must not fill our memory. */
const FULL = 1_048_576;

/**
 * What `node:http2` takes for its socket: a wire with the part of `net.Socket` that a server session calls. What
 * the session writes in one turn of the event loop leaves in one write: that is worth half as many requests again
 * as a write for each stream (measured with 8 connections of 8 streams).
 */
export class H2Socket extends EventEmitter {
  readonly allowHalfOpen = true;
  readonly connecting = false;
  /** True once `end` was called. */
  writableEnded = false;
  destroyed = false;
  readonly #wire: Wire;
  readonly #scratch: Uint8Array;
  readonly #sent: (bytes: number) => void;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #queued = false;
  /** The wire took less than it was offered: its `drained` comes. */
  #blocked = false;
  #sessionWaits = false;
  #paused = false;
  #finished = false;

  /**
   * @param scratch {@link BATCH} bytes to gather in; all connections of a server may share them
   * @param sent told of each write's size
   */
  constructor(wire: Wire, scratch: Uint8Array, sent: (bytes: number) => void) {
    super();
    this.#wire = wire;
    this.#scratch = scratch;
    this.#sent = sent;
  }

  /** Bytes that the wire has not taken yet. */
  get unsent(): number {
    return this.#pendingBytes;
  }

  /** Whether everything was sent, FIN included. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Keeps the bytes until they are sent. False asks for a pause until "drain". */
  write(bytes: Uint8Array): boolean {
    if (this.destroyed || this.#finished) return true;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.byteLength;
    this.#schedule();
    if (this.#pendingBytes < HIGH_WATER) return true;
    if (!this.#blocked) this.flush();
    if (this.#pendingBytes < HIGH_WATER) return true;
    this.#sessionWaits = true;
    if (this.#pendingBytes >= FULL && !this.#paused) {
      this.#paused = true;
      this.#wire.pause();
    }
    return false;
  }

  /** FIN after what was written. Bytes may still be added until the turn ends: the last GOAWAY is. */
  end(callback?: () => void): void {
    this.writableEnded = true;
    this.#schedule();
    if (typeof callback === "function") setImmediate(callback);
  }

  /**
   * The session is through with the connection. Where its last frames are on their way the wire stays: a reset
   * now would overtake them.
   */
  destroy(): void {
    if (!this.writableEnded) this.abort();
  }

  /** Closes the wire at once. */
  abort(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#wire.destroy();
  }

  /** Sends what is there; `drained` goes on when the wire stops. */
  flush(): void {
    this.#queued = false;
    if (this.#blocked || this.destroyed) return;
    const scratch = this.#scratch;
    while (this.#pendingBytes > 0) {
      const batch = this.#gather(scratch);
      const taken = this.#wire.write(batch);
      if (taken < 0) {
        this.#pending = [];
        this.#pendingBytes = 0;
        return;
      }
      this.#sent(taken);
      this.#pendingBytes -= taken;
      if (taken < batch.byteLength) {
        this.#blocked = true;
        // The scratch is everybody's: what is left of it moves to memory of its own.
        this.#pending.unshift(batch.buffer === scratch.buffer ? batch.slice(taken) : batch.subarray(taken));
        return;
      }
    }
    if (this.writableEnded && !this.#finished) {
      this.#finished = true;
      this.#wire.end();
    }
  }

  /** The wire takes bytes again. */
  drained(): void {
    this.#blocked = false;
    this.flush();
    if (this.#paused && this.#pendingBytes < HIGH_WATER) {
      this.#paused = false;
      this.#wire.resume();
    }
    if (this.#sessionWaits && this.#pendingBytes < HIGH_WATER) {
      this.#sessionWaits = false;
      this.emit("drain");
    }
  }

  pause(): void {}
  resume(): void {}

  #schedule(): void {
    if (this.#queued) return;
    this.#queued = true;
    setImmediate(flush, this);
  }

  /** The next bytes to write, at most a batch where there are several pieces. */
  #gather(scratch: Uint8Array): Uint8Array {
    const pending = this.#pending;
    if (pending.length === 1) {
      this.#pending = [];
      return pending[0]!;
    }
    let length = 0;
    let pieces = 0;
    while (pieces < pending.length && length + pending[pieces]!.byteLength <= BATCH) {
      scratch.set(pending[pieces]!, length);
      length += pending[pieces]!.byteLength;
      pieces++;
    }
    if (pieces === 0) return pending.shift()!;
    if (pieces === pending.length) this.#pending = [];
    else pending.splice(0, pieces);
    return scratch.subarray(0, length);
  }
}

// The session's own immediates run before one that is set now: trailers still get into the same write.
function flush(socket: H2Socket): void {
  socket.flush();
}
