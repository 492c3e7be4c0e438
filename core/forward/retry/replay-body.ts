import { type Body, BytesBody, type HeaderList, type PolledBody } from "sluice/plugin";
import { KeptBytes } from "../../pipeline/kept-bytes.ts";

type Chunk = Uint8Array | null;

/** Whoever waits for the next chunk. */
interface Reader {
  resolve(chunk: Chunk): void;
  reject(error: unknown): void;
}

/**
 * A request's body for several tries, one after the other. It passes on what it reads and keeps copies of it, up to a
 * limit. After `rewind` the kept bytes are read again, and then what the source has besides: also a chunk for which the
 * try before was waiting when it was given up. That try's read rejects.
 */
export class ReplayBody implements PolledBody {
  readonly length: number | undefined;
  readonly #source: Body;
  readonly #limit: number;
  /** What the source has given, as long as it is all of it. */
  #kept: KeptBytes | undefined;
  /** How far in that this try has come. */
  #at = 0;
  /** Something was read that is not kept. */
  #lost = false;
  /** No further try comes. */
  #released = false;
  /** A read of the source is under way. */
  #pending = false;
  /** What that has given, until somebody takes it. */
  #held: Chunk | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  /** This try wants no more of it. */
  #cancelled: { readonly reason: unknown } | undefined;
  #reader: Reader | undefined;
  #ready: (() => void) | undefined;
  /** The source is to say when it has something. */
  #told = false;

  readonly #onChunk = (chunk: Chunk): void => {
    this.#pending = false;
    this.#held = chunk;
    this.#wake();
  };
  readonly #onError = (error: unknown): void => {
    this.#pending = false;
    this.#failure = { error };
    this.#wake();
  };
  readonly #onReady = (): void => {
    this.#told = false;
    this.#wake();
  };

  /** @param limit bytes that are kept; nothing is of a body that is known to be longer. */
  constructor(source: Body, limit: number) {
    this.length = source.length;
    this.#source = source;
    this.#limit = source.length !== undefined && source.length > limit ? 0 : limit;
  }

  get trailers(): HeaderList | undefined {
    return this.#source.trailers;
  }

  /** What the source gives is passed on as it is, and copied: only what is read again may not be freed. */
  own(): boolean {
    return (this.#kept?.length ?? 0) === this.#at && this.#source.own?.() === true;
  }

  read(): Chunk | Promise<Chunk> {
    const next = this.#atHand();
    if (next !== undefined) return next;
    if (!this.#pending) {
      if (this.#released) return this.#source.read();
      const chunk = this.#ask();
      if (chunk !== undefined) return chunk;
    }
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  poll(): Chunk | undefined {
    const next = this.#atHand();
    if (next !== undefined || this.#pending) return next;
    if (this.#source.poll === undefined) return this.#ask();
    let chunk: Chunk | undefined;
    try {
      chunk = this.#source.poll();
    } catch (error) {
      throw this.#failed(error);
    }
    return chunk === undefined ? undefined : this.#took(chunk);
  }

  wait(ready: () => void): void {
    this.#ready = ready;
    if (this.#speaks) queueMicrotask(() => this.#wake());
    else if (!this.#pending && !this.#told && this.#source.wait !== undefined) {
      this.#told = true;
      this.#source.wait(this.#onReady);
    }
  }

  /**
   * False where `rewind` would answer that. True where it would not, unless it is up to the source. To ask costs the try
   * that reads now nothing.
   */
  get rewindable(): boolean {
    if (this.#released || this.#failure !== undefined) return false;
    return !this.#lost || (!this.#pending && this.#held === undefined && this.#source.rewind !== undefined);
  }

  /**
   * Back to the first byte, for another try; the one before must not read any more. False where that is gone, where the
   * source has failed, and once `release` was called.
   */
  rewind(): boolean {
    if (!this.rewindable) return false;
    if (this.#lost) {
      if (this.#source.rewind?.() !== true) return false;
      this.#ended = false;
    }
    this.#at = 0;
    this.#cancelled = undefined;
    this.#ready = undefined;
    this.#dismiss(new Error("another try reads the body"));
    return true;
  }

  /**
   * All of it, to be read beside this: for another try that does not wait for the end of the first. Undefined where it was
   * not read to its end yet, or is not kept.
   */
  whole(): Body | undefined {
    const read = this.#ended || this.#held === null;
    if (!read || this.#lost || this.#released) return undefined;
    return new BytesBody(bytesOf(this.#kept), this.#source.trailers);
  }

  /** This try reads no further. Where another may come, the source is none the wiser, until `release`. */
  cancel(reason?: unknown): void {
    const first = this.#cancelled === undefined;
    this.#cancelled ??= { reason };
    if (first && this.#ready !== undefined) queueMicrotask(() => this.#wake());
    this.#dismiss(reason ?? new Error("the body was cancelled"));
    if (this.#released) this.#cancelSource();
  }

  /** No further try comes: from here on nothing is kept, and to cancel it is to cancel the source. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (this.#cancelled !== undefined) this.#cancelSource();
    else this.#forgetRead();
  }

  /** Whether there is something to say to who polls. */
  get #speaks(): boolean {
    const gone = this.#cancelled !== undefined || this.#failure !== undefined;
    return gone || this.#ended || this.#held !== undefined || this.#at < (this.#kept?.length ?? 0);
  }

  /** What can be had without asking the source; undefined where there is nothing. */
  #atHand(): Chunk | undefined {
    if (this.#cancelled !== undefined)
      throw new Error("the body was cancelled", { cause: this.#cancelled.reason });
    const kept = this.#kept?.from(this.#at);
    if (kept !== undefined) {
      this.#at += kept.byteLength;
      if (this.#released) this.#forgetRead();
      return kept;
    }
    const held = this.#held;
    if (held !== undefined) {
      this.#held = undefined;
      return this.#took(held);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#ended ? null : undefined;
  }

  /** Reads of the source; undefined where that has to be waited for. */
  #ask(): Chunk | undefined {
    let next: Chunk | Promise<Chunk>;
    try {
      next = this.#source.read();
    } catch (error) {
      throw this.#failed(error);
    }
    if (!(next instanceof Promise)) return this.#took(next);
    this.#pending = true;
    next.then(this.#onChunk, this.#onError);
    return undefined;
  }

  /** The source's next chunk is about to be passed on. */
  #took(chunk: Chunk): Chunk {
    if (chunk === null) this.#ended = true;
    else if (!this.#lost && !this.#released) {
      const kept = (this.#kept ??= new KeptBytes());
      if (kept.length + chunk.byteLength > this.#limit) this.#lose();
      else {
        // A copy: the chunk's own memory may be freed, or be a small part of something large.
        kept.add(new Uint8Array(chunk));
        this.#at = kept.length;
      }
    }
    return chunk;
  }

  #failed(error: unknown): unknown {
    this.#failure = { error };
    return error;
  }

  #lose(): void {
    this.#lost = true;
    this.#kept = undefined;
    this.#at = 0;
  }

  /** Lets go of what is kept, once it was all read. */
  #forgetRead(): void {
    if (this.#at < (this.#kept?.length ?? 0)) return;
    this.#kept = undefined;
    this.#at = 0;
  }

  #cancelSource(): void {
    this.#kept = this.#held = undefined;
    this.#source.cancel(this.#cancelled?.reason);
  }

  /** There may be something to say. */
  #wake(): void {
    if (this.#reader !== undefined) this.#answer(this.#reader);
    const ready = this.#ready;
    this.#ready = undefined;
    ready?.();
  }

  #answer(reader: Reader): void {
    try {
      const chunk = this.#atHand();
      // Who was told may be somebody else, who polls.
      if (chunk === undefined) return;
      this.#reader = undefined;
      reader.resolve(chunk);
    } catch (error) {
      this.#reader = undefined;
      reader.reject(error);
    }
  }

  /** Whoever waits for a chunk gets none. */
  #dismiss(error: unknown): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.reject(error);
  }
}

function bytesOf(kept: KeptBytes | undefined): Uint8Array {
  if (kept === undefined) return new Uint8Array(0);
  const first = kept.from(0);
  if (first?.byteLength === kept.length) return first;
  const bytes = new Uint8Array(kept.length);
  for (let at = 0, piece; (piece = kept.from(at)) !== undefined; at += piece.byteLength) bytes.set(piece, at);
  return bytes;
}
