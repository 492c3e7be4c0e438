import { ConnectionError, DEFAULT_WINDOW, FLOW_CONTROL_ERROR, type FrameWriter } from "../http2/index.ts";

/** What a client may send over all streams of a connection before it is told to go on (RFC 9113 §6.9). */
export class ReceiveWindow {
  readonly #writer: FrameWriter;
  readonly #size: number;
  /** What is left of it, as the client knows. */
  #left: number;
  /** What it may be told to send again. */
  #released = 0;

  /** Tells the client how large it is. */
  constructor(writer: FrameWriter, size: number) {
    this.#writer = writer;
    this.#size = size;
    this.#left = size;
    writer.windowUpdate(0, size - DEFAULT_WINDOW);
  }

  /** DATA came. @throws ConnectionError */
  use(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0)
      throw new ConnectionError(FLOW_CONTROL_ERROR, "more than the connection's window", "window");
    this.#grant();
  }

  /** So much of it is held no longer. */
  release(bytes: number): void {
    this.#released += bytes;
    this.#grant();
  }

  #grant(): void {
    // Every so often is enough, and sooner where what is held leaves the client little to go on with.
    const enough = Math.min(this.#size / 2, this.#left);
    if (this.#released === 0 || this.#released < enough) return;
    this.#left += this.#released;
    this.#writer.windowUpdate(0, this.#released);
    this.#released = 0;
  }
}
