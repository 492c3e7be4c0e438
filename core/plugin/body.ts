import type { ReadableStreamDefaultReader } from "node:stream/web";
import { copyBytes } from "./copy-bytes.ts";
import type { HeaderList } from "./headers.ts";
import { Joint } from "./joint.ts";

/**
 * The bytes of a message, pulled by whoever needs them. Nobody reads ahead of the reader: a body that is
 * not read pauses its socket, so memory stays bounded whatever the other side does.
 */
export interface Body {
  /**
   * The next chunk, or null at the end. Answers without a promise when bytes are at hand, so test for
   * `instanceof Promise` before awaiting in a hot loop. One read at a time. Rejects (or throws) when the
   * body breaks off before its end; it is never reported as complete then.
   */
  read(): Uint8Array | null | Promise<Uint8Array | null>;
  /** Nobody will read on; the producer stops and frees what it holds. Safe to call at any time, repeatedly. */
  cancel(reason?: unknown): void;
  /** The exact number of bytes, where the message said so in advance. */
  readonly length: number | undefined;
  /** Trailer fields; set once `read` has answered null, and only if there were any. */
  readonly trailers: HeaderList | undefined;
  /** Starts over from the first byte, for another try; false where what was read is gone, which absence means too. */
  rewind?(): boolean;
  /**
   * To be asked before the first `read`: true where nobody else will look at the whole buffer behind each chunk that
   * `read` answers (`chunk.buffer`, of which the chunk may be a part), so that its reader may free that memory when it is
   * done with the chunk, rather than leave it to the garbage collector. Absence means false.
   */
  own?(): boolean;
  /**
   * `read` without promises, for readers that see many chunks: what is at hand, null at the end, undefined where `read`
   * would wait. Throws where `read` would reject. Comes together with `wait`; absence of both means that `read` is to
   * be called.
   */
  poll?(): Uint8Array | null | undefined;
  /**
   * To be called when `poll` answered undefined: runs `ready` once, later and not during the call, when `poll` has
   * something else to say, and when the body is cancelled. One reader waits at a time.
   */
  wait?(ready: () => void): void;
}

/** A body that can be read without promises. */
export type PolledBody = Body & Required<Pick<Body, "poll" | "wait">>;

/** A body that is in memory already. It can be read again after `rewind`. */
export class BytesBody implements PolledBody {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  #read = false;
  readonly length: number;
  readonly trailers: HeaderList | undefined;

  /** @param start in `bytes`, and `end`: what of them is the body. @default all */
  constructor(bytes: Uint8Array, trailers?: HeaderList, start = 0, end = bytes.byteLength) {
    this.#bytes = bytes;
    this.#start = start;
    this.length = end - start;
    this.trailers = trailers;
  }

  /** Bytes that were not read yet: all or none, unless their memory was taken away. */
  get left(): number {
    if (this.#read) return 0;
    // Their owner may have let go of them since.
    const { byteLength } = this.#bytes;
    return byteLength >= this.#start + this.length ? this.length : Math.max(0, byteLength - this.#start);
  }

  read(): Uint8Array | null {
    if (this.#read || this.length === 0) return null;
    this.#read = true;
    const bytes = this.#bytes;
    return this.length === bytes.byteLength ? bytes : bytes.subarray(this.#start, this.#start + this.length);
  }

  /** Reads all that is left into `target` from `at` on, where it must have room. Answers the index behind it. */
  readInto(target: Uint8Array, at: number): number {
    const { left } = this;
    if (left > 0) copyBytes(this.#bytes, target, at, this.#start, this.#start + left);
    this.#read = true;
    return at + left;
  }

  poll(): Uint8Array | null {
    return this.read();
  }

  wait(ready: () => void): void {
    queueMicrotask(ready);
  }

  rewind(): boolean {
    this.#read = false;
    return true;
  }

  cancel(): void {
    this.#read = true;
  }
}

/** What a {@link BodyQueue} tells its producer. Every hook is optional to implement as a no-op. */
export interface BodyProducer {
  /** The reader has fallen behind: stop pushing soon (pause the socket). */
  pause(): void;
  /** The reader caught up. */
  resume(): void;
  /** The reader left before the end. */
  cancelled(reason: unknown): void;
}

/** Empty places at the front of a queue's list from which on they are cut off, once they are half of it. */
const COMPACT_AT = 64;

/**
 * A body that a socket fills and somebody else reads. `push` never refuses; above `highWaterMark` bytes it
 * asks the producer to pause and below half of that to go on.
 */
export class BodyQueue implements Body {
  readonly length: number | undefined;
  trailers: HeaderList | undefined;
  readonly #producer: BodyProducer;
  readonly #highWaterMark: number;
  /** What was read of it, before `#head`, is empty: a queue that never runs dry would keep every chunk alive. */
  readonly #chunks: (Uint8Array | undefined)[] = [];
  #head = 0;
  #buffered = 0;
  /** The last of `#chunks`, where small pieces are joined in it. */
  #joint: Joint | undefined;
  #paused = false;
  #read = false;
  #state: "open" | "ended" | "failed" | "cancelled" = "open";
  #error: unknown;
  #waiting: { resolve(chunk: Uint8Array | null): void; reject(error: unknown): void } | undefined;
  #ready: (() => void) | undefined;

  /** @param highWaterMark bytes held before the producer is paused. @default 65536 */
  constructor(producer: BodyProducer, length?: number, highWaterMark = 65_536) {
    this.#producer = producer;
    this.length = length;
    this.#highWaterMark = highWaterMark;
  }

  /** Bytes held and not yet read. */
  get buffered(): number {
    return this.#buffered;
  }

  /** True once `end`, `fail` or `cancel` was called: the producer owes nothing more. */
  get settled(): boolean {
    return this.#state !== "open";
  }

  /**
   * Adds bytes. The queue keeps the array: the producer must not write into it again. Small pieces that nobody has
   * read yet become one, or a sender of single bytes could fill memory with a hundred times what it sends.
   */
  push(chunk: Uint8Array): void {
    if (this.#state !== "open" || chunk.byteLength === 0) return;
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve(chunk);
      return;
    }
    const joint = Joint.join(this.#chunks, this.#joint, chunk);
    if (joint === undefined) this.#add(chunk);
    else this.#joint = joint;
    this.#buffered += chunk.byteLength;
    if (this.#ready !== undefined) this.#tell();
    if (!this.#paused && this.#buffered >= this.#highWaterMark) {
      this.#paused = true;
      this.#producer.pause();
    }
  }

  end(trailers?: HeaderList): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.trailers = trailers;
    this.#tell();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(null);
  }

  /** The body broke off. What was pushed before is still read first; then `read` rejects with `error`. */
  fail(error: unknown): void {
    if (this.#state !== "open") return;
    this.#state = "failed";
    this.#error = error;
    this.#tell();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }

  own(): boolean {
    return !this.#read;
  }

  #add(chunk: Uint8Array): void {
    this.#closeJoint();
    this.#chunks.push(chunk);
  }

  /** Nothing more is joined to the last chunk. */
  #closeJoint(): void {
    this.#joint?.close(this.#chunks);
    this.#joint = undefined;
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const next = this.#next();
    if (next !== undefined) return next;
    return this.#state === "open" ? this.#arrival() : Promise.reject(this.#failure());
  }

  poll(): Uint8Array | null | undefined {
    const next = this.#next();
    if (next === undefined && this.#state !== "open") throw this.#failure();
    return next;
  }

  wait(ready: () => void): void {
    this.#ready = ready;
    if (this.#state !== "open" || this.#head < this.#chunks.length) this.#tell();
  }

  #arrival(): Promise<Uint8Array | null> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** Later: whoever fills the queue is in the middle of something. */
  #tell(): void {
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready !== undefined) queueMicrotask(ready);
  }

  #failure(): unknown {
    return this.#state === "failed" ? this.#error : new Error("the body was cancelled");
  }

  /** What is at hand; undefined where there is neither a chunk nor the end. */
  #next(): Uint8Array | null | undefined {
    this.#read = true;
    if (this.#head < this.#chunks.length) {
      if (this.#joint !== undefined && this.#head === this.#chunks.length - 1) this.#closeJoint();
      const chunk = this.#chunks[this.#head]!;
      this.#chunks[this.#head] = undefined;
      this.#head++;
      if (this.#head === this.#chunks.length) {
        this.#chunks.length = 0;
        this.#head = 0;
      } else if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#chunks.length) {
        this.#chunks.splice(0, this.#head);
        this.#head = 0;
      }
      this.#buffered -= chunk.byteLength;
      if (this.#paused && this.#buffered <= this.#highWaterMark >> 1) {
        this.#paused = false;
        if (this.#state === "open") this.#producer.resume();
      }
      return chunk;
    }
    return this.#state === "ended" ? null : undefined;
  }

  cancel(reason?: unknown): void {
    this.#chunks.length = 0;
    this.#head = 0;
    this.#joint = undefined;
    this.#buffered = 0;
    if (this.#state !== "open") return;
    this.#state = "cancelled";
    this.#tell();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(reason ?? new Error("the body was cancelled"));
    this.#producer.cancelled(reason);
  }
}

/** A Fetch stream as a body. `trailers` stay those of the message that the stream was made from. */
export class StreamBody implements Body {
  readonly length: number | undefined;
  readonly #stream: ReadableStream<Uint8Array>;
  readonly #origin: Body | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(stream: ReadableStream<Uint8Array>, length?: number, origin?: Body) {
    this.#stream = stream;
    this.length = length;
    this.#origin = origin;
  }

  get trailers(): HeaderList | undefined {
    return this.#origin?.trailers;
  }

  async read(): Promise<Uint8Array | null> {
    this.#reader ??= this.#stream.getReader();
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return null;
      const chunk = asBytes(value);
      if (chunk.byteLength > 0) return chunk;
    }
  }

  cancel(reason?: unknown): void {
    const cancelled = this.#reader ? this.#reader.cancel(reason) : this.#stream.cancel(reason);
    cancelled.catch(ignore);
  }
}

/** A Fetch stream that pulls from `body` only when it is read. */
export function streamOf(body: Body): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await body.read();
        if (chunk === null) controller.close();
        else controller.enqueue(chunk);
      },
      cancel(reason) {
        body.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The whole body in one array, or undefined when it is longer than `limit` bytes (it is cancelled then). */
export async function collect(body: Body | null, limit: number): Promise<Uint8Array | undefined> {
  if (body === null) return new Uint8Array(0);
  if (body.length !== undefined && body.length > limit) {
    body.cancel();
    return undefined;
  }
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const next = body.read();
    const chunk = next instanceof Promise ? await next : next;
    if (chunk === null) break;
    total += chunk.byteLength;
    if (total > limit) {
      body.cancel();
      return undefined;
    }
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : concat(chunks, total);
}

function concat(chunks: Uint8Array[], total: number): Uint8Array {
  const all = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}

// A stream that a plugin made may carry strings where bytes are meant; the runtime's own Response accepts both.
function asBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return new TextEncoder().encode(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw new TypeError("a body stream produced something that is neither bytes nor text");
}

function ignore(): void {}
