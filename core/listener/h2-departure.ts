import type { Wire } from "../http1/wire.ts";
import { type FrameWriter, MAX_31, NO_ERROR } from "../http2/index.ts";

/** Milliseconds that a client has to acknowledge the first GOAWAY before the second one goes out. */
const GOAWAY_GRACE = 1_000;
const GOAWAY_PING = Buffer.from("sluice!!", "latin1");

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
  /** FIN follows what was written; it was sent. */
  #ending = false;
  #finished = false;

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

  /** FIN, once everything was sent. */
  end(): void {
    this.#ending = true;
    this.#writer.flush();
    this.drained();
  }

  /** The wire may have taken the last of it. */
  drained(): void {
    if (!this.#ending || this.#finished || this.#writer.waiting > 0) return;
    this.#finished = true;
    this.#wire.end();
  }
}
