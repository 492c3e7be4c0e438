import { BodyQueue } from "sluice/plugin";
import { FREED_INPUT } from "../http2/index.ts";

/**
 * An answer's body. Its pieces lie in what the socket handed on, side by side with those of other answers. Where that
 * is much, they are copied at once, and it is freed: see `FrameEventReader.pushOwned`.
 */
export class AnswerQueue extends BodyQueue {
  override push(piece: Uint8Array): void {
    super.push(piece.buffer.byteLength >= FREED_INPUT ? new Uint8Array(piece) : piece);
  }
}
