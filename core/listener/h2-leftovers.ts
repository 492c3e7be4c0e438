/** Milliseconds that a client may take to end a request that was answered before it was whole. */
const PATIENCE = 1_000;
/** So many are waited for. */
const MOST = 128;

/**
 * Requests that were answered, END_STREAM included, before they were whole, and of which so little is left that the client
 * will have sent it soon: it is taken and dropped. RFC 9113 §8.1 lets a server send RST_STREAM(NO_ERROR) at once; but a
 * client that is about to send its last bytes may take that for a failure and lose the answer (curl 7.88 does).
 */
export class H2Leftovers {
  /** When they were answered, by their streams; the oldest first. */
  readonly #since = new Map<number, number>();
  readonly #giveUp: (id: number) => void;

  /** @param giveUp resets a stream that does not end by itself */
  constructor(giveUp: (id: number) => void) {
    this.#giveUp = giveUp;
  }

  add(id: number, now: number): void {
    this.#since.set(id, now);
    if (this.#since.size > MOST) this.#drop(this.#since.keys().next().value!);
  }

  has(id: number): boolean {
    return this.#since.has(id);
  }

  /** The client has ended it, one way or the other. */
  delete(id: number): void {
    this.#since.delete(id);
  }

  sweep(now: number): void {
    for (const [id, since] of this.#since) {
      if (now - since < PATIENCE) return;
      this.#drop(id);
    }
  }

  #drop(id: number): void {
    this.#since.delete(id);
    this.#giveUp(id);
  }
}
