/** Pieces below this are joined: one that is kept by itself costs some hundred bytes besides. */
const SMALL = 1_024;
/** Bytes that are joined at most. */
const JOINED = 8_192;

/**
 * Small pieces that follow each other in a list, in one: a sender of single bytes could otherwise fill memory with a
 * hundred times what it sends. It is the last of its list until it is closed.
 */
export class Joint {
  readonly #room = new Uint8Array(JOINED);
  #used = 0;

  /**
   * Adds `piece` to the last of `pieces`, where both are small.
   * @param joint that the last one is; undefined where it is an ordinary piece.
   * @returns the joint that the piece is in; undefined where it is to stand by itself.
   */
  static join(
    pieces: (Uint8Array | undefined)[],
    joint: Joint | undefined,
    piece: Uint8Array,
  ): Joint | undefined {
    if (piece.byteLength >= SMALL || pieces.length === 0) return undefined;
    if (joint !== undefined) return joint.#add(piece) ? joint : undefined;
    const last = pieces.length - 1;
    const before = pieces[last]!;
    if (before.byteLength >= SMALL) return undefined;
    const made = new Joint();
    pieces[last] = made.#room;
    made.#add(before);
    made.#add(piece);
    return made;
  }

  /** Nothing more is joined to the last of `pieces`, which it is. What is little used gives its memory back. */
  close(pieces: (Uint8Array | undefined)[]): void {
    const used = this.#used;
    pieces[pieces.length - 1] = used < JOINED / 2 ? this.#room.slice(0, used) : this.#room.subarray(0, used);
  }

  #add(piece: Uint8Array): boolean {
    if (this.#used + piece.byteLength > JOINED) return false;
    this.#room.set(piece, this.#used);
    this.#used += piece.byteLength;
    return true;
  }
}
