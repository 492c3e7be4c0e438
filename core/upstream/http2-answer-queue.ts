import { BodyQueue } from "sluice/plugin";

/**
 * An answer's body. Its pieces lie in what the socket handed on, side by side with those of other answers: who wants
 * to free them gets copies.
 */
export class AnswerQueue extends BodyQueue {
  #copies = false;

  override own(): boolean {
    const owns = super.own();
    if (owns) this.#copies = true;
    return owns;
  }

  override read(): Uint8Array | null | Promise<Uint8Array | null> {
    const next = super.read();
    if (!this.#copies) return next;
    return next instanceof Promise ? next.then(copyOf) : copyOf(next);
  }

  override poll(): Uint8Array | null | undefined {
    const next = super.poll();
    return this.#copies && next ? copyOf(next) : next;
  }
}

function copyOf(chunk: Uint8Array | null): Uint8Array | null {
  return chunk && Buffer.from(chunk);
}
