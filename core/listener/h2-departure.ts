import type { Wire } from "../http1/wire.ts";
import { type FrameWriter, MAX_31, NO_ERROR } from "../http2/index.ts";

/** Milliseconds that a client has to acknowledge the first GOAWAY before the second one goes out. */
const GOAWAY_GRACE = 1_000;
const GOAWAY_PING = Buffer.from("sluice!!", "latin1");
/** Milliseconds after our FIN in which the client is to close, too; what it still sends is thrown away. */
const LINGER = 2_000;
/** Milliseconds that the platform and a TLS peer may take to close. */
const CLOSE_TIME = 5_000;

/**
 * How a connection comes to its end (RFC 9113 §6.8): first a GOAWAY that refuses nothing, and only when the client has
 * answered a PING the one that names the last stream: a request that was on its way meanwhile is served, not lost.
 */
export class H2Departure {
  readonly #writer: FrameWriter;
  readonly #wire: Wire;
  /** When the first GOAWAY left; 0 before. */
  #since = 0;
  #acknowledged = false;
  #last = Infinity;
  /** FIN follows what was written; it was sent; and both directions were closed. */
  #ending = false;
  #finished = false;
  #closed = false;
  /** When the client has had its time, and how long that is for each piece of what it is to take before FIN. */
  #by = 0;
  #patience = 0;

  constructor(writer: FrameWriter, wire: Wire) {
    this.#writer = writer;
    this.#wire = wire;
  }

  get begun(): boolean {
    return this.#since !== 0;
  }

  /** The last stream that is served, once the client was told; `Infinity` before. */
  get last(): number {
    return this.#last;
  }

  /** FIN was sent, and everything before it. */
  get finished(): boolean {
    return this.#finished;
  }

  begin(now: number): void {
    this.#since = now;
    this.#writer.goaway(MAX_31, NO_ERROR);
    this.#writer.ping(GOAWAY_PING, false);
  }

  /** PING was answered. */
  ponged(payload: Uint8Array): void {
    if (this.#since !== 0 && Buffer.compare(payload, GOAWAY_PING) === 0) this.#acknowledged = true;
  }

  /** Whether it is time to name the last stream. */
  isDue(now: number): boolean {
    if (this.#since === 0 || this.#last !== Infinity) return false;
    return this.#acknowledged || now - this.#since >= GOAWAY_GRACE;
  }

  /** From here on no stream is served that the client has not opened yet. */
  nameLast(lastStream: number): void {
    this.#last = lastStream;
    this.#writer.goaway(lastStream, NO_ERROR);
  }

  /** GOAWAY for a breach. */
  breakOff(lastStream: number, code: number, message: string): void {
    // A number that was named before must not go up.
    this.#writer.goaway(Math.min(lastStream, this.#last), code, message);
  }

  /** FIN, once everything was sent. @param patience milliseconds in which the client has to take some of it */
  end(now: number, patience: number): void {
    this.#ending = true;
    this.#patience = patience;
    this.#writer.flush();
    this.drained(now);
  }

  /** The wire has taken some of it, perhaps the last. */
  drained(now: number): void {
    if (!this.#ending || this.#finished) return;
    this.#by = now + this.#patience;
    if (this.#writer.waiting > 0) return;
    this.#finished = true;
    this.#by = now + LINGER;
    this.#wire.end();
  }

  /** Once it has ended. A client may be far behind: what was handed to the kernel before FIN still arrives. */
  sweep(now: number): void {
    if (now < this.#by) return;
    if (!this.#finished || this.#closed) this.#wire.destroy();
    else {
      this.#closed = true;
      this.#by = now + CLOSE_TIME;
      this.#wire.close();
    }
  }
}
