import type { BodyProducer } from "sluice/plugin";
import { FrameBody } from "../http2/index.ts";

/** Who brings a request's body. */
export interface RequestBodyOwner extends BodyProducer {
  /** Somebody is about to read. */
  wanted(): void;
  /** Somebody has read, or will not any more: less may be held now. */
  wasRead(): void;
}

/** A request's body that says when it is read. */
export class RequestBody extends FrameBody {
  readonly #owner: RequestBodyOwner;

  constructor(owner: RequestBodyOwner, length: number | undefined) {
    super(owner, length);
    this.#owner = owner;
  }

  override read(): Uint8Array | null | Promise<Uint8Array | null> {
    this.#owner.wanted();
    const next = super.read();
    this.#owner.wasRead();
    return next;
  }

  override poll(): Uint8Array | null | undefined {
    this.#owner.wanted();
    const next = super.poll();
    this.#owner.wasRead();
    return next;
  }

  override cancel(reason?: unknown): void {
    super.cancel(reason);
    // Also where it had ended, and nobody is told.
    this.#owner.wasRead();
  }
}
