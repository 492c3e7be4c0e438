import { EventEmitter } from "node:events";
import type { Wire } from "../http1/wire.ts";
import { MAX_HEADER_LIST_SIZE } from "../http2/frames.ts";
import { setSetting } from "./h2-frames.ts";

/** Bytes that are gathered for one write. */
export const BATCH = 65_536;
/** Unsent bytes from which on answers wait. */
const HIGH_WATER = 65_536;
/** Unsent bytes from which on nothing more is read: a client that only sends must not fill our memory. */
const FULL = 1_048_576;

/** Who is told what becomes of the bytes. */
export interface SocketObserver {
  /** One write took this many. */
  sent(bytes: number): void;
  /** The wire takes bytes again, and `congested` is false. */
  roomAgain(): void;
}

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
  readonly #observer: SocketObserver;
  readonly #headerList: number;
  #announced = false;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #queued = false;
  /** The wire took less than it was offered: its `drained` comes. */
  #blocked = false;
  #paused = false;
  #finished = false;

  /**
   * @param scratch {@link BATCH} bytes to gather in; all connections of a server may share them
   * @param headerList what SETTINGS say of MAX_HEADER_LIST_SIZE: the session takes more, so that it can be answered
   */
  constructor(wire: Wire, scratch: Uint8Array, observer: SocketObserver, headerList: number) {
    super();
    this.#wire = wire;
    this.#scratch = scratch;
    this.#observer = observer;
    this.#headerList = headerList;
  }

  /** Whether the wire is so far behind that nothing should be added that can wait. */
  get congested(): boolean {
    return this.#pendingBytes >= HIGH_WATER;
  }

  /** Whether everything was sent, FIN included. */
  get finished(): boolean {
    return this.#finished;
  }

  /**
   * Keeps the bytes until they are sent. Never asks the session to wait: it would go on after its first "drain"
   * whatever it is told (seen on Bun 1.4.5). Whoever produces bytes looks at `congested`.
   */
  write(bytes: Uint8Array): true {
    if (this.destroyed || this.#finished) return true;
    if (!this.#announced) {
      this.#announced = true;
      setSetting(bytes, MAX_HEADER_LIST_SIZE, this.#headerList);
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.byteLength;
    this.#schedule();
    if (this.#pendingBytes < HIGH_WATER) return true;
    if (!this.#blocked) this.flush();
    if (this.#pendingBytes >= FULL && !this.#paused) {
      this.#paused = true;
      this.#wire.pause();
    }
    return true;
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

  /** Closes the wire once everything was sent. */
  release(): void {
    this.destroyed = true;
    this.#wire.close();
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
      this.#observer.sent(taken);
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
    if (this.congested) return;
    if (this.#paused) {
      this.#paused = false;
      this.#wire.resume();
    }
    this.#observer.roomAgain();
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
