/**
 * A connection's bytes, whatever carries them: a TCP or TLS socket of `Bun.listen` or `Bun.connect`, or a TLS
 * stream over another stream. Everything above it (codecs, HTTP/2) knows only this.
 */
export interface Wire {
  /**
   * Hands bytes to the kernel and answers how many it took; the rest is the caller's to offer again at
   * `drained`. Negative once the connection is closed. The bytes may be reused after the call.
   * @param length how many of them, from the first. @default all
   */
  write(bytes: Uint8Array, length?: number): number;
  /** Stops reading: the peer's window fills and the peer stops sending. */
  pause(): void;
  resume(): void;
  /** Sends FIN after what was written; reading goes on. */
  end(): void;
  /** Closes both directions now. What was written is still delivered; what the peer sends on is not read. */
  close(): void;
  /** Closes at once with RST where the platform can: the peer sees a broken connection. */
  destroy(): void;
}

/** What a wire tells its owner. No call comes after `closed`. */
export interface WireOwner {
  data(chunk: Uint8Array): void;
  /** The kernel takes bytes again. */
  drained(): void;
  /** The peer sent FIN: nothing more will come from it. */
  ended(): void;
  /** The connection is gone, by whichever side. */
  closed(): void;
}
