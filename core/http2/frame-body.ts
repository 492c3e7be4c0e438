import { BodyQueue } from "sluice/plugin";
import { copyBytes } from "../plugin/copy-bytes.ts";
import { FREED_INPUT } from "./frame-events.ts";

/** Up to this a copy costs less than a view, which makes the memory behind it an object of its own. */
const COPIED = 2_048;
/** A view keeps no more memory alive than so many times its own. */
const KEPT = 4;
/** From this on the memory of a piece is worth freeing, see `OwnedMemory`. */
const LARGE = 8_192;

/**
 * A body that comes in DATA frames. They lie in what the socket handed on, side by side with those of other streams, so
 * a view must not look as if all of that memory was this body's (see `OwnedMemory`). Where it is much, the pieces are
 * copied at once, and it is freed: see `FrameEventReader.pushOwned`.
 */
export class FrameBody extends BodyQueue {
  #large = false;

  /** Adds `bytes` from `from` to `to`. */
  take(bytes: Buffer, from: number, to: number): void {
    const length = to - from;
    const memory = bytes.byteLength;
    if (length >= LARGE) this.#large = true;
    if (from > 0 && length > COPIED && length * KEPT >= memory && memory < FREED_INPUT) {
      this.push(bytes.subarray(from, to));
      return;
    }
    const piece = new Uint8Array(length);
    copyBytes(bytes, piece, 0, from, to);
    this.push(piece);
  }

  /** Not where all of it is here and little: its reader would look at memory that nobody misses. */
  override own(): boolean {
    return (this.#large || !this.settled) && super.own();
  }
}
