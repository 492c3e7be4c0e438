import { HeaderList, type PolledBody, SluiceError } from "sluice/plugin";

/** Who is told that an answer's body is over: read to its end, failed, or left by its reader. */
export interface BodyOwner {
  /** Read to its end. */
  ended(trailers: HeaderList | undefined): void;
  /** It has failed. */
  brokeOff(error: unknown): void;
  /** It was left by its reader. */
  finish(): void;
  /** Somebody waits for the next chunk. Answers what to call when it is here, where that is to be known. */
  waits(): (() => void) | undefined;
  /** The answer of a gRPC call ended without the call's status. Answers what to tell the caller. */
  statusMissing(): SluiceError;
}

/** An upstream's body on its way through: passes every chunk as it is, and notices the end. */
export class AnswerBody implements PolledBody {
  readonly length: number | undefined;
  readonly #inner: PolledBody;
  readonly #owner: BodyOwner;
  readonly #grpc: boolean;
  readonly #ends: boolean;
  #overdue: SluiceError | undefined;
  #trailers: HeaderList | undefined;
  // Made at the first read that has to wait: most bodies are at hand when they are read.
  #onChunk: ((chunk: Uint8Array | null) => Uint8Array | null) | undefined;
  #onError: ((error: unknown) => null) | undefined;

  /**
   * @param grpc whether the caller understands a status in the trailers.
   * @param ends whether it must end with one.
   */
  constructor(inner: PolledBody, owner: BodyOwner, grpc: boolean, ends: boolean) {
    this.length = inner.length;
    this.#inner = inner;
    this.#owner = owner;
    this.#grpc = grpc;
    this.#ends = ends;
  }

  get trailers(): HeaderList | undefined {
    return this.#trailers ?? this.#inner.trailers;
  }

  own(): boolean {
    return this.#inner.own?.() === true;
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    if (this.#overdue !== undefined) return this.#cutShort(this.#overdue);
    let next: Uint8Array | null | Promise<Uint8Array | null>;
    try {
      next = this.#inner.read();
    } catch (error) {
      return this.#broke(error);
    }
    if (!(next instanceof Promise)) {
      if (next === null) this.#finished();
      return next;
    }
    const resumed = this.#owner.waits();
    if (resumed !== undefined) next.then(resumed, resumed);
    this.#onChunk ??= (chunk) => this.#settled(chunk);
    this.#onError ??= (error) => this.#failed(error);
    return next.then(this.#onChunk, this.#onError);
  }

  poll(): Uint8Array | null | undefined {
    if (this.#overdue !== undefined) return this.#cutShort(this.#overdue);
    let next: Uint8Array | null | undefined;
    try {
      next = this.#inner.poll();
    } catch (error) {
      return this.#broke(error);
    }
    if (next === null) this.#finished();
    return next;
  }

  wait(ready: () => void): void {
    const resumed = this.#owner.waits();
    this.#inner.wait(resumed === undefined ? ready : both(resumed, ready));
  }

  cancel(reason?: unknown): void {
    this.#inner.cancel(reason);
    this.#owner.finish();
  }

  /** Ends the body before its end, for its reader and for the upstream. */
  expire(overdue: SluiceError): void {
    this.#overdue = overdue;
    this.cancel(overdue);
  }

  #settled(chunk: Uint8Array | null): Uint8Array | null {
    if (this.#overdue !== undefined) return this.#cutShort(this.#overdue);
    if (chunk === null) this.#finished();
    return chunk;
  }

  #finished(): void {
    this.#owner.ended(this.#inner.trailers);
    if (this.#ends && this.#trailers === undefined && this.#inner.trailers?.has("grpc-status") !== true)
      this.#cutShort(this.#owner.statusMissing());
  }

  #failed(error: unknown): null {
    if (this.#overdue !== undefined) return this.#cutShort(this.#overdue);
    return this.#broke(error);
  }

  #broke(error: unknown): null {
    this.#owner.brokeOff(error);
    // UNAVAILABLE tells a gRPC caller that it may try again; a reset would be INTERNAL.
    if (this.#grpc && error instanceof SluiceError && error.owner === "upstream")
      return this.#cutShort(error);
    throw error;
  }

  /** Never as a complete answer: gRPC says it in the trailers, everybody else sees the body break off. */
  #cutShort(overdue: SluiceError): null {
    if (!this.#grpc) throw overdue;
    this.#trailers = new HeaderList([
      "grpc-status",
      String(overdue.grpcStatus),
      "grpc-message",
      overdue.message,
    ]);
    return null;
  }
}

function both(first: () => void, second: () => void): () => void {
  return () => {
    first();
    second();
  };
}
