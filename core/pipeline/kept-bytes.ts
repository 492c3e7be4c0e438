import { Joint } from "../plugin/joint.ts";

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
  /** The last piece, where small ones are joined in it: it has room behind its bytes. */
  #joint: Joint | undefined;

  /** Adds a piece. Others must not write into it any more. */
  add(piece: Uint8Array): void {
    if (piece.byteLength === 0) return;
    const joint = Joint.join(this.#pieces, this.#joint, piece);
    if (joint === undefined) {
      this.#joint?.close(this.#pieces);
      this.#pieces.push(piece);
      this.#starts.push(this.length);
    }
    this.#joint = joint;
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
}
