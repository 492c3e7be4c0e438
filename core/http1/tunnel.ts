import { type Body, type BodyProducer, BodyQueue, type SluiceError } from "sluice/plugin";
import type { Sent, UpgradeOffer } from "../listener/inbound.ts";
import { type AnswerOwner, AnswerStream } from "./answer-stream.ts";
import { UNTIL_CLOSE } from "./framing.ts";
import type { HeldBytes } from "./held-bytes.ts";
import type { WireWriter } from "./wire-writer.ts";

/** The connection that a {@link Tunnel} takes over. */
export interface TunnelOwner {
  /** The reader of the client's bytes has fallen behind, or caught up. */
  tunnelPaused(paused: boolean): void;
  /** The last byte to the client was taken: FIN goes out behind it. */
  tunnelSent(): void;
  /** Both directions have ended. */
  tunnelOver(): void;
  /** The bytes to the client broke off: it must not take that for their end. */
  answerFailed(error: unknown): void;
  /** The client turned out to be gone: calls `lose`. */
  wireLost(): void;
}

/** Milliseconds without a byte after which a tunnel with one side closed is cut. */
const HALF_CLOSED = 30_000;

/** A connection after `101 Switching Protocols`: raw bytes both ways, each direction with its own end. */
export class Tunnel implements UpgradeOffer, BodyProducer, AnswerOwner {
  readonly protocol: string;
  readonly body: BodyQueue;
  readonly #owner: TunnelOwner;
  readonly #writer: WireWriter;
  /** Defined once 101 was answered. */
  #stream: AnswerStream | undefined;
  #settle: ((sent: Sent) => void) | undefined;
  #firstByteAt = 0;
  #received = 0;
  #drains = 0;
  /** The sum of what has passed when it was last looked at, and monotonic milliseconds of the last change. */
  #moved = 0;
  #aliveAt = 0;
  /** The client's FIN came, or nobody wants its bytes. */
  #receivedAll = false;
  #sentAll = false;

  constructor(owner: TunnelOwner, writer: WireWriter, protocol: string) {
    this.#owner = owner;
    this.#writer = writer;
    this.protocol = protocol;
    this.body = new BodyQueue(this);
  }

  /** Answers whether nothing has passed, in either direction, for `timeout` milliseconds. */
  sweep(now: number, timeout: number): boolean {
    const moved = this.#received + this.#drains + (this.#stream?.bytes ?? 0);
    if (moved !== this.#moved) {
      this.#moved = moved;
      this.#aliveAt = now;
    }
    // Who has nothing more to say is mostly gone: the other side may finish, but not sit there for ever.
    const half = this.#receivedAll || this.#sentAll;
    return now - this.#aliveAt >= (half ? Math.min(timeout, HALF_CLOSED) : timeout);
  }

  /** What the client sent without waiting for 101 is the other protocol's: `first`, then what was held back. */
  begin(first: Uint8Array, held: HeldBytes | undefined): void {
    this.data(first);
    for (let chunk = held?.shift(); chunk !== undefined; chunk = held?.shift()) this.data(chunk);
    held?.settle();
  }

  /** Writes `head`, and `body` behind it; settles once both directions are over. */
  open(head: Uint8Array, body: Body, firstByteAt: number): Promise<Sent> {
    this.#firstByteAt = this.#aliveAt = firstByteAt;
    const sent = new Promise<Sent>((resolve) => {
      this.#settle = resolve;
    });
    this.#stream = new AnswerStream(this, this.#writer, body, UNTIL_CLOSE);
    this.#stream.start(head);
    return sent;
  }

  // What the wire tells.

  data(chunk: Uint8Array): void {
    this.#received += chunk.byteLength;
    this.body.push(chunk);
  }

  ended(): void {
    this.#receivedAll = true;
    this.body.end();
    this.#endIfOver();
  }

  /** The client takes bytes again; `all`: nothing waits for it any more. */
  drained(all: boolean): void {
    this.#drains++;
    if (all) this.#stream?.drained();
  }

  /** The client is gone, or was cut off. Answers whether it had got all that was meant for it. */
  lose(error: SluiceError): boolean {
    this.body.fail(error);
    this.#stream?.abandon(error);
    // Whoever is cut off had more to say; who leaves had not.
    const complete = this.#sentAll && error.code === "client_closed";
    this.#finish(complete, complete ? undefined : error);
    return complete;
  }

  // What the reader of the client's bytes tells.

  pause(): void {
    this.#owner.tunnelPaused(true);
  }

  resume(): void {
    this.#owner.tunnelPaused(false);
  }

  cancelled(reason: unknown): void {
    if (this.#stream === undefined) return;
    if (reason !== undefined) {
      // What the client sends reaches nobody any more, and it must learn of that.
      this.#stream.abandon(reason);
      this.answerBroken(reason);
      return;
    }
    this.#receivedAll = true;
    this.#owner.tunnelPaused(false);
    this.#endIfOver();
  }

  // What the bytes to the client tell.

  answerSent(): void {
    this.#sentAll = true;
    this.#owner.tunnelSent();
    this.#endIfOver();
  }

  answerBroken(error: unknown): void {
    this.body.fail(error);
    this.#finish(false, error);
    this.#owner.answerFailed(error);
  }

  wireLost(): void {
    this.#owner.wireLost();
  }

  #endIfOver(): void {
    if (!this.#receivedAll || !this.#sentAll) return;
    this.#finish(true, undefined);
    this.#owner.tunnelOver();
  }

  #finish(complete: boolean, error: unknown): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.({ bytes: this.#stream?.bytes ?? 0, complete, firstByteAt: this.#firstByteAt, error });
  }
}
