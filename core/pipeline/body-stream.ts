import { type Body, type HeaderList, StreamBody, streamOf } from "sluice/plugin";

/** Where a stream of ours keeps the body that it was made of. */
const SOURCE: unique symbol = Symbol("body");

type SourcedStream = ReadableStream<Uint8Array> & { [SOURCE]?: WatchedBody };

/** Notes whether anybody has begun to read. */
export class WatchedBody implements Body {
  readonly inner: Body;
  touched = false;
  /** The body goes another way: reading through this is over. */
  sealed = false;

  constructor(inner: Body) {
    this.inner = inner;
  }

  get length(): number | undefined {
    return this.inner.length;
  }

  get trailers(): HeaderList | undefined {
    return this.inner.trailers;
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    if (this.sealed) throw new TypeError("the body has been sent");
    this.touched = true;
    return this.inner.read();
  }

  cancel(reason?: unknown): void {
    if (this.sealed) return;
    this.touched = true;
    this.inner.cancel(reason);
  }
}

/** A Fetch stream over `body`, of which {@link untouchedBody} gives the body back as long as it is unread. */
export function openStream(body: Body): ReadableStream<Uint8Array> {
  const watched = new WatchedBody(body);
  const stream: SourcedStream = streamOf(watched);
  stream[SOURCE] = watched;
  return stream;
}

/** The very body that an untouched stream of ours was made of, with its length and its trailers. */
export function untouchedBody(stream: ReadableStream<Uint8Array>): Body | undefined {
  const watched = (stream as SourcedStream)[SOURCE];
  return watched === undefined || watched.touched || stream.locked ? undefined : watched.inner;
}

/** A stream as a body. @param origin whose trailers end it, where it was derived from a message's body. */
export function bodyOfStream(stream: ReadableStream<Uint8Array>, origin?: Body): Body {
  return new StreamBody(stream, undefined, (stream as SourcedStream)[SOURCE]?.inner ?? origin);
}

/** The body of an untouched stream goes its own way now: a plugin that kept the stream cannot read along. */
export function sealStream(stream: ReadableStream<Uint8Array>): void {
  const watched = (stream as SourcedStream)[SOURCE];
  if (watched !== undefined && !watched.touched) watched.sealed = true;
}
