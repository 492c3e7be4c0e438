import type { Clock } from "sluice/plugin";
import { BY_WASTE, type Reading } from "./reading.ts";
import type { Wire } from "./wire.ts";
import type { WireWriter } from "./wire-writer.ts";

/** After our FIN the client's bytes are thrown away for a while: a reset would overtake the answer (RFC 9112 §9.6). */
const LINGER_TIME = 2_000;
const LINGER_BYTES = 1_048_576;
/** How long the platform and a TLS peer may take to close. */
const CLOSE_TIME = 5_000;

/** The end of a connection: what was written still arrives, and what still comes is thrown away. */
export class Ending {
  readonly #wire: Wire;
  readonly #writer: WireWriter;
  readonly #reading: Reading;
  readonly #clock: Clock;
  #state: "open" | "lingering" | "closing" = "open";
  /** Monotonic milliseconds at which the client has had its time; 0 for never. */
  #by = 0;
  #wasted = 0;
  #peerEnded = false;

  constructor(wire: Wire, writer: WireWriter, reading: Reading, clock: Clock) {
    this.#wire = wire;
    this.#writer = writer;
    this.#reading = reading;
    this.#clock = clock;
  }

  /** FIN once everything is written, then a while of throwing away what the client still sends. */
  linger(): void {
    this.#state = "lingering";
    this.#by = 0;
    if (!this.#writer.blocked) this.#sendFin();
  }

  /** Closes both directions; what was written is still delivered. */
  close(): void {
    this.#state = "closing";
    this.#by = this.#clock.monotonic() + CLOSE_TIME;
    this.#wire.close();
  }

  /** These bytes are not read. Above a bound, no more are taken from the client either. */
  waste(bytes: number): void {
    this.#wasted += bytes;
    if (this.#wasted > LINGER_BYTES) this.#reading.pause(BY_WASTE);
  }

  /** Nothing waits for the wire any more. */
  drained(): void {
    if (this.#state === "lingering") this.#sendFin();
  }

  /** The client sent FIN; may come at any time. */
  peerEnded(): void {
    this.#peerEnded = true;
    if (this.#state === "lingering" && !this.#writer.blocked) this.close();
  }

  /** Answers whether even the closing took too long: the wire is to be destroyed. */
  sweep(now: number): boolean {
    if (this.#by === 0 || now < this.#by) return false;
    if (this.#state === "closing") return true;
    this.close();
    return false;
  }

  #sendFin(): void {
    // Who sent FIN has nothing left to say.
    if (this.#peerEnded) {
      this.close();
      return;
    }
    this.#by = this.#clock.monotonic() + LINGER_TIME;
    this.#wire.end();
  }
}
