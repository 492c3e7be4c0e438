/** Below this it may have been chance. */
const LEAST = 8;
/** Every so many connections one goes on beyond what is known, and learns whether it still holds. */
const PROBE = 16;

/**
 * After how many requests a target ends its connections (nginx's `keepalive_requests`), as far as the last ones tell:
 * who knows it opens the next connection in time, where otherwise each one's end leaves out what was sent behind it.
 */
export class Span {
  #requests = Infinity;
  #last = 0;

  /** Requests that connection `serial` should carry at most. */
  of(serial: number): number {
    return serial % PROBE === 0 ? Infinity : this.#requests;
  }

  /** Requests that a connection carries, as far as is known; `Infinity` where it is not. */
  get requests(): number {
    return this.#requests;
  }

  /** The peer has ended a connection in order after `requests`. Twice the same is no chance. */
  ended(requests: number): void {
    if (requests === this.#last && requests >= LEAST) this.#requests = requests;
    else if (requests > this.#requests) this.#requests = Infinity;
    this.#last = requests;
  }

  /** A request beyond that was answered. */
  exceeded(): void {
    this.#requests = Infinity;
    this.#last = 0;
  }
}
