import { type BodyProducer, BodyQueue, ERROR_CODES, type HeaderList, SluiceError } from "sluice/plugin";
import { BodyDecoder, type BodySink } from "./body-decoder.ts";
import type { Framing } from "./framing.ts";
import { MessageError } from "./message-error.ts";

/** What is read of a body that nobody wants, so that the connection can live on. */
const DRAIN_BYTES = 65_536;

/** The connection that a {@link RequestBody} comes in on. */
export interface RequestBodyOwner {
  /** Its reader has fallen behind, or caught up. */
  bodyPaused(paused: boolean): void;
  /** A piece came in and there is more to come. */
  bodyProgressed(): void;
  /** Its last byte is in. */
  bodyDone(): void;
  /** It broke off through the client's fault: what comes in from now on has no meaning. */
  bodyFailed(): void;
  /** More of it came in than is read for nothing. */
  bodyWasted(): void;
  /** Somebody reads it: the moment for `100 Continue` (RFC 9110 §10.1.1). */
  bodyWanted(): void;
}

/** The request bodies of one connection, one after the other, as they come in. */
export class RequestBody implements BodySink, BodyProducer {
  readonly #owner: RequestBodyOwner;
  readonly #decoder = new BodyDecoder(this, { dropUnderscores: true });
  /** Defined while a body comes in. */
  #queue: BodyQueue | undefined;
  #limit = 0;
  #bytes = 0;
  /** Bytes that came in after its reader had left. */
  #wasted = 0;
  #awaitsContinue = false;

  constructor(owner: RequestBodyOwner) {
    this.#owner = owner;
  }

  /** Whether a body is on its way in. */
  get incoming(): boolean {
    return this.#queue !== undefined;
  }

  /** Whether the client waits for leave to send it. */
  get awaitsContinue(): boolean {
    return this.#queue !== undefined && this.#awaitsContinue;
  }

  /**
   * Whether nobody reads the rest, and it is too much to be read for nothing. A client that waits for leave may
   * send its body all the same, or the next request instead: there is no telling which.
   * @param abandoned as if its reader had left already
   */
  hopeless(abandoned: boolean): boolean {
    const queue = this.#queue;
    if (queue === undefined) return false;
    if (this.#awaitsContinue) return true;
    return (abandoned || queue.settled) && (this.#decoder.remaining ?? 0) > DRAIN_BYTES - this.#wasted;
  }

  /** A body comes next. @param limit bytes that it may have */
  begin(framing: Framing, limit: number, expectContinue: boolean): BodyQueue {
    const length = framing > 0 ? framing : undefined;
    const queue = expectContinue ? new ExpectedBody(this, length) : new BodyQueue(this, length);
    this.#queue = queue;
    this.#limit = limit;
    this.#bytes = 0;
    this.#wasted = 0;
    this.#awaitsContinue = expectContinue;
    this.#decoder.start(framing);
    return queue;
  }

  /** Reads on; answers the index of the first byte that is not the body's. */
  read(chunk: Uint8Array, from: number): number {
    if (from < chunk.byteLength) this.#awaitsContinue = false;
    let next: number;
    try {
      next = this.#decoder.push(chunk, from);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.fail(new SluiceError(error.code, error.message, { reason: error.reason, cause: error }));
      return chunk.byteLength;
    }
    if (this.#queue !== undefined) this.#owner.bodyProgressed();
    return next;
  }

  /** It breaks off through the client's fault. */
  fail(error: SluiceError): void {
    const queue = this.#queue;
    this.#queue = undefined;
    queue?.fail(error);
    this.#owner.bodyFailed();
  }

  /** The connection is gone, or will be: nobody is told but the reader. */
  lose(error: unknown): void {
    const queue = this.#queue;
    this.#queue = undefined;
    queue?.fail(error);
  }

  /** The request was answered: whoever has not read the body by now never will. */
  abandon(): void {
    this.#queue?.cancel();
  }

  bodyChunk(bytes: Uint8Array): void {
    const queue = this.#queue;
    if (queue === undefined) return;
    this.#bytes += bytes.byteLength;
    if (this.#bytes > this.#limit) {
      this.fail(
        new SluiceError("payload_too_large", ERROR_CODES.payload_too_large.meaning, {
          reason: "limits.body",
        }),
      );
    } else if (queue.settled) {
      this.#wasted += bytes.byteLength;
      if (this.#wasted > DRAIN_BYTES) this.#owner.bodyWasted();
    } else {
      queue.push(bytes);
    }
  }

  bodyEnd(trailers: HeaderList | undefined): void {
    const queue = this.#queue;
    if (queue === undefined) return;
    this.#queue = undefined;
    queue.end(trailers);
    this.#owner.bodyDone();
  }

  pause(): void {
    this.#owner.bodyPaused(true);
  }

  resume(): void {
    this.#owner.bodyPaused(false);
  }

  cancelled(): void {
    this.#owner.bodyPaused(false);
  }

  /** The reader of a body that waits for leave reads for the first time; of an earlier body, it comes too late. */
  wanted(queue: BodyQueue): void {
    if (queue !== this.#queue || !this.#awaitsContinue) return;
    this.#awaitsContinue = false;
    this.#owner.bodyWanted();
  }
}

/** The body of a client that sent `Expect: 100-continue`: reading it asks for it. */
class ExpectedBody extends BodyQueue {
  #source: RequestBody | undefined;

  constructor(source: RequestBody, length: number | undefined) {
    super(source, length);
    this.#source = source;
  }

  override read(): Uint8Array | null | Promise<Uint8Array | null> {
    this.#ask();
    return super.read();
  }

  override poll(): Uint8Array | null | undefined {
    this.#ask();
    return super.poll();
  }

  #ask(): void {
    const source = this.#source;
    this.#source = undefined;
    source?.wanted(this);
  }
}
