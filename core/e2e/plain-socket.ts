import type { Socket } from "bun";

/** A TCP socket that takes what it is given, in order, however slowly the other side reads. */
export class PlainSocket {
  readonly #socket: Socket<unknown>;
  #waiting: Uint8Array[] = [];
  #ending = false;

  constructor(socket: Socket<unknown>) {
    this.#socket = socket;
  }

  write(bytes: Uint8Array): void {
    if (this.#waiting.length > 0) {
      this.#waiting.push(bytes);
      return;
    }
    const taken = Math.max(0, this.#socket.write(bytes));
    if (taken < bytes.byteLength) this.#waiting.push(bytes.subarray(taken));
  }

  /** To be called when the socket says `drain`. */
  drained(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const bytes of waiting) this.write(bytes);
    if (this.#ending && this.#waiting.length === 0) this.#socket.end();
  }

  /** Closes once all is written. */
  end(): void {
    this.#ending = true;
    if (this.#waiting.length === 0) this.#socket.end();
  }

  /** Closes now. */
  cut(): void {
    this.#waiting = [];
    this.#socket.terminate();
  }
}
