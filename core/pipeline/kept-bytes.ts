/** Pieces below this are joined: one that is kept by itself costs some hundred bytes besides. */
const SMALL = 1_024;
/** Bytes that are joined at most. */
const JOINED = 8_192;

/**
 * Bytes that are kept to be read again, from any place on. Small pieces that follow each other become one, or a sender of
 * single bytes could fill memory with a hundred times what it sends.
 */
export class KeptBytes {
  /** How many bytes there are. */
  length = 0;
  readonly #pieces: Uint8Array[] = [];
  /** Where each piece begins. */
  readonly #starts: number[] = [];
  /** Whether the last piece is a joint, which has room behind its bytes. */
  #joint = false;

  /** Adds a piece. Others must not write into it any more. */
  add(piece: Uint8Array): void {
    if (piece.byteLength === 0) return;
    if (piece.byteLength >= SMALL || !this.#join(piece)) {
      this.#pieces.push(piece);
      this.#starts.push(this.length);
      this.#joint = false;
    }
    this.length += piece.byteLength;
  }

  /** What is kept from byte `at` on, as far as it stands in one piece; undefined at the end. */
  from(at: number): Uint8Array | undefined {
    if (at >= this.length) return undefined;
    const starts = this.#starts;
    let first = 0;
    for (let last = starts.length - 1; first < last;) {
      const middle = (first + last + 1) >> 1;
      if (starts[middle]! <= at) first = middle;
      else last = middle - 1;
    }
    const start = starts[first]!;
    const end = starts[first + 1] ?? this.length;
    return this.#pieces[first]!.subarray(at - start, end - start);
  }

  /** Adds to the last piece. False where there is none that it could be added to. */
  #join(piece: Uint8Array): boolean {
    const last = this.#pieces.length - 1;
    if (last < 0) return false;
    const used = this.length - this.#starts[last]!;
    if (!this.#joint) {
      const before = this.#pieces[last]!;
      if (before.byteLength >= SMALL) return false;
      this.#pieces[last] = new Uint8Array(JOINED);
      this.#pieces[last].set(before);
      this.#joint = true;
    } else if (used + piece.byteLength > JOINED) return false;
    this.#pieces[last]!.set(piece, used);
    return true;
  }
}
