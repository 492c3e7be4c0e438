import type { BodySink } from "./body-decoder.ts";
import { copyBytes } from "../plugin/copy-bytes.ts";
import { partOf } from "./bytes.ts";

// Below this, copying costs less than a view and a queue entry for each piece do.
const SMALL = 4096;
const JOINED = 16_384;

/**
 * Passes on the pieces that a chunked body lies in. Large ones go out as views of the input. Small ones that
 * follow each other are joined: chunks of one byte each would otherwise cost their reader a hundred times their size.
 */
export class PieceJoiner {
  readonly #sink: Pick<BodySink, "bodyChunk">;
  /** A small piece that waits for the next. */
  #first: Uint8Array | undefined;
  #joined: Uint8Array | undefined;
  #filled = 0;
  /** Where in the input the last piece that went out as a view of it ends; set it to 0 before the next input. */
  viewed = 0;

  constructor(sink: Pick<BodySink, "bodyChunk">) {
    this.#sink = sink;
  }

  /** The bytes `from` … `to` of `chunk` are the body's next. */
  add(chunk: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length >= SMALL || this.#filled + length > JOINED) this.flush();
    if (length < SMALL && this.#joined !== undefined) {
      this.#filled += copyBytes(chunk, this.#joined, this.#filled, from, to);
      return;
    }
    const piece = length === chunk.byteLength ? chunk : partOf(chunk, from, to);
    if (piece.buffer === chunk.buffer) this.viewed = to;
    if (length >= SMALL) {
      this.#sink.bodyChunk(piece);
    } else if (this.#first === undefined) {
      this.#first = piece;
    } else {
      const rest = chunk.byteLength - from;
      this.#joined = new Uint8Array(Math.min(JOINED, this.#first.byteLength + rest));
      this.#append(this.#first);
      this.#append(piece);
      this.#first = undefined;
    }
  }

  /** Emits what waits: call at the end of each input, which pieces must not outlive unseen. */
  flush(): void {
    const first = this.#first;
    if (first !== undefined) {
      this.#first = undefined;
      this.#sink.bodyChunk(first);
    } else if (this.#joined !== undefined) {
      const joined = this.#joined.subarray(0, this.#filled);
      this.#joined = undefined;
      this.#filled = 0;
      this.#sink.bodyChunk(joined);
    }
  }

  #append(piece: Uint8Array): void {
    this.#joined!.set(piece, this.#filled);
    this.#filled += piece.byteLength;
  }
}
