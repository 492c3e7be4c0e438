/** Milliseconds that a client may take to end a request that was answered before it was whole. */
const PATIENCE = 1_000;
/** So many are waited for. */
const MOST = 128;
/** Streams that are remembered as reset by us. */
const REMEMBERED = 1_024;

/**
 * Streams that are over, and on which the client may send on: what comes is taken and dropped. We have reset them, which it
 * may not have heard yet; or they are leftovers: requests that were answered, END_STREAM included, before they were whole,
 * and of which so little is left that the client will have sent it soon. RFC 9113 §8.1 lets a server send
 * RST_STREAM(NO_ERROR) at once; but a client that is about to send its last bytes may take that for a failure and lose the
 * answer (curl 7.88 does).
 */
export class H2Leftovers {
  /** When they were answered, by their streams; the oldest first. */
  readonly #since = new Map<number, number>();
  readonly #forsaken = new Set<number>();
  readonly #giveUp: (id: number) => void;

  /** @param giveUp resets a stream that does not end by itself */
  constructor(giveUp: (id: number) => void) {
    this.#giveUp = giveUp;
  }

  add(id: number, now: number): void {
    this.#since.set(id, now);
    if (this.#since.size > MOST) this.#drop(this.#since.keys().next().value!);
  }

  /** We reset it. */
  forsake(id: number): void {
    const forsaken = this.#forsaken;
    forsaken.add(id);
    if (forsaken.size <= REMEMBERED) return;
    const [oldest] = forsaken;
    forsaken.delete(oldest!);
  }

  has(id: number): boolean {
    return this.#forsaken.has(id) || this.#since.has(id);
  }

  /** The client has ended it, one way or the other. */
  delete(id: number): void {
    this.#forsaken.delete(id);
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
    this.forsake(id);
    this.#giveUp(id);
  }
}
