import { type Body, type BodyProducer, BodyQueue, HeaderList } from "sluice/plugin";
import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { constants } from "node:http2";
import type { Call, CallRunner } from "./call.ts";
import { abandoned, broken, malformed, timedOut, unsendable } from "./failures.ts";
import type { Http2Connection } from "./http2-connection.ts";

/** Where a stream of the runtime keeps ours: its listeners are shared by all, none is made for a request. */
const OWNER = Symbol("owner");
type OwnedStream = ClientHttp2Stream & { [OWNER]: Http2Stream };

/**
 * What a stream is destroyed with: the runtime sends RST_STREAM(CANCEL) for this code. Its `close(CANCEL)` would
 * send END_STREAM first, and an upload that broke off would look complete.
 */
const CANCELLED = Object.assign(new Error("the stream was cancelled"), { code: "ABORT_ERR" });

const { NGHTTP2_FLAG_END_STREAM: END_STREAM, NGHTTP2_REFUSED_STREAM: REFUSED } = constants;

/** One request and its answer on an HTTP/2 connection. */
export class Http2Stream implements CallRunner, BodyProducer {
  readonly #connection: Http2Connection;
  readonly #call: Call;
  #stream: OwnedStream | undefined;
  #queue: BodyQueue | undefined;
  /** The answer's head is here. */
  #answered = false;
  /** The answer is complete, or failed. */
  #over = false;
  /** Monotonic milliseconds at which the answer's head or its next piece is late. */
  #deadline = Infinity;
  /** Monotonic milliseconds since which the peer takes nothing of the request; 0 while it does. */
  #stalledSince = 0;
  #wake: (() => void) | undefined;
  #trailers: HeaderList | undefined;
  /** END_STREAM was seen. */
  #ended = false;
  /** Bytes that the answer still owes; NaN where it did not say. */
  #owed = NaN;

  constructor(connection: Http2Connection, call: Call) {
    this.#connection = connection;
    this.#call = call;
    call.runner = this;
  }

  begin(): void {
    const call = this.#call;
    const { request } = call;
    try {
      call.takeBody();
    } catch (error) {
      this.#fail(unsendable(error));
      return;
    }
    const { bytes, whole } = call;
    const trailers = whole && request.body?.trailers !== undefined;
    const bare = whole && bytes === undefined && !trailers;
    let stream: OwnedStream;
    try {
      stream = this.#connection.open(headersOf(call), {
        endStream: bare,
        waitForTrailers: !whole || trailers,
      }) as OwnedStream;
    } catch (error) {
      // Nothing was sent: the session ended under us, or the head is illegal.
      if (this.#connection.standing) this.#fail(unsendable(error));
      else this.#unprocessed(broken(error));
      return;
    }
    request.progress.sent = true;
    this.#stream = stream;
    stream[OWNER] = this;
    listen(stream);
    if (bare) this.#sent();
    else if (whole && !trailers) {
      stream.end(bytes);
      this.#sent();
    } else {
      stream.on("wantTrailers", onWantTrailers);
      stream.on("drain", onDrain);
      void this.#send(stream);
    }
  }

  sweep(now: number): void {
    if (now >= this.#deadline) {
      if (!this.#answered) this.#connection.probe();
      this.#fail(timedOut(this.#answered ? "idle" : "first_byte"));
      return;
    }
    const idle = this.#call.request.timeouts.idle;
    if (this.#stalledSince !== 0 && idle !== undefined && now - this.#stalledSince >= idle) {
      this.#fail(timedOut("idle"));
    }
  }

  cancel(_call: Call, reason: unknown): void {
    this.#fail(abandoned(reason));
  }

  /** The connection is gone, and perhaps the stream has not heard of it. */
  connectionLost(cause: unknown): void {
    this.#fail(broken(cause));
  }

  // The answer's body: its reader.

  pause(): void {
    this.#deadline = Infinity;
    this.#stream?.pause();
  }

  resume(): void {
    this.#await(this.#call.request.timeouts.idle);
    this.#stream?.resume();
  }

  cancelled(reason: unknown): void {
    this.#fail(abandoned(reason));
  }

  // The runtime's stream.

  informed(status: number, rawHeaders: string[]): void {
    if (!this.#over && status !== 100) this.#call.request.onInform(status, fieldsOf(rawHeaders));
  }

  responded(status: number, flags: number, rawHeaders: string[]): void {
    if (this.#over) return;
    this.#answered = true;
    this.#ended = (flags & END_STREAM) !== 0;
    const headers = fieldsOf(rawHeaders);
    const { method } = this.#call.request;
    let body: Body | null = null;
    if (!this.#ended && method !== "HEAD" && status !== 204 && status !== 304) {
      const announced = headers.get("content-length");
      if (announced !== undefined) this.#owed = Number(announced);
      body = this.#queue = new BodyQueue(this, Number.isNaN(this.#owed) ? undefined : this.#owed);
      this.#await(this.#call.request.timeouts.idle);
    } else this.#deadline = Infinity;
    this.#call.succeed({ status, headers, body });
    if (this.#ended) this.#complete();
  }

  data(chunk: Uint8Array): void {
    const queue = this.#queue;
    if (this.#over) return;
    // RFC 9113 §8.1.1: no content where the message can have none, and as much as it announced.
    if (queue === undefined) {
      this.#fail(malformed("content where there can be none"));
      return;
    }
    this.#owed -= chunk.byteLength;
    if (this.#owed < 0) {
      this.#fail(malformed("more content than it announced"));
      return;
    }
    this.#await(this.#call.request.timeouts.idle);
    queue.push(chunk);
  }

  trailed(flags: number, rawHeaders: string[]): void {
    this.#trailers = fieldsOf(rawHeaders);
    this.#ended = (flags & END_STREAM) !== 0;
  }

  /** Nothing more will come; whether the peer meant that is another question. */
  readEnded(stream: ClientHttp2Stream): void {
    if (this.#over) return;
    // A reset ends the readable side, too. The native state tells an end from RST_STREAM(NO_ERROR).
    const ended = this.#ended || (!stream.rstCode && stream.state.remoteClose === 1);
    if (!ended || !this.#answered) this.closed(stream, undefined);
    else if (this.#owed > 0) this.#fail(malformed("less content than it announced"));
    else this.#complete();
  }

  /** The runtime is done with the stream. */
  closed(stream: ClientHttp2Stream, cause: unknown): void {
    if (!this.#over) {
      if (stream.rstCode === REFUSED && !this.#answered) this.#unprocessed(broken(cause));
      else this.#fail(broken(cause));
    }
  }

  /** The slot is free. */
  gone(): void {
    this.#connection.ended(this);
  }

  drained(): void {
    this.#stalledSince = 0;
    this.#wakeUp();
  }

  requestTrailers(stream: ClientHttp2Stream): void {
    const trailers = this.#call.request.body?.trailers;
    const fields: Record<string, string[]> = {};
    if (trailers !== undefined) for (const [name, value] of trailers) (fields[name] ??= []).push(value);
    stream.sendTrailers(fields);
  }

  // The request's body.

  async #send(stream: ClientHttp2Stream): Promise<void> {
    const call = this.#call;
    const body = call.request.body as Body;
    try {
      if (call.bytes !== undefined) stream.write(call.bytes);
      if (!call.whole) {
        for (;;) {
          const next = call.pending ?? body.read();
          call.pending = undefined;
          const chunk = next instanceof Promise ? await next : next;
          if (this.#over) return;
          if (chunk === null) break;
          if (!stream.write(chunk)) await this.#drained();
          if (this.#over) return;
        }
      }
    } catch (error) {
      this.#fail(unsendable(error));
      return;
    }
    stream.end();
    this.#sent();
  }

  #drained(): Promise<void> {
    this.#stalledSince = this.#connection.clock.monotonic();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #sent(): void {
    if (!this.#answered) this.#await(this.#call.request.timeouts.firstByte);
  }

  // How it ends.

  #complete(): void {
    this.#over = true;
    this.#deadline = Infinity;
    this.#call.finish();
    this.#queue?.end(this.#trailers);
    const stream = this.#stream;
    if (stream !== undefined && !stream.writableEnded) {
      // The answer did not wait for the rest of the request: nobody wants it.
      this.#call.request.body?.cancel();
      stream.destroy(CANCELLED);
    }
    this.#wakeUp();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadline = Infinity;
    if (this.#queue === undefined) this.#call.fail(error);
    else {
      this.#call.finish();
      this.#queue.fail(error);
    }
    this.#abandonStream();
  }

  /** The peer has not looked at the request (RFC 9113 §8.7): it may be sent again, whatever it is. */
  #unprocessed(error: unknown): void {
    const call = this.#call;
    call.request.progress.sent = false;
    if (!call.replayable) {
      this.#fail(error);
      return;
    }
    this.#over = true;
    this.#deadline = Infinity;
    this.#abandonStream();
    if (!this.#connection.retry(call)) call.fail(error);
  }

  #abandonStream(): void {
    const stream = this.#stream;
    if (stream === undefined) this.#connection.ended(this);
    else if (!stream.destroyed) stream.destroy(CANCELLED);
    this.#wakeUp();
  }

  #await(timeout: number | undefined): void {
    this.#deadline = timeout === undefined ? Infinity : this.#connection.clock.monotonic() + timeout;
  }
}

function listen(stream: OwnedStream): void {
  stream.on("headers", onHeaders);
  stream.on("response", onResponse);
  stream.on("data", onData);
  stream.on("trailers", onTrailers);
  stream.on("end", onEnd);
  stream.on("error", onError);
  stream.on("close", onClose);
}

type Head = IncomingHttpHeaders & { ":status"?: number };

function onHeaders(this: OwnedStream, head: Head, _flags: number, raw?: string[]): void {
  this[OWNER].informed(head[":status"] ?? 0, raw ?? []);
}
function onResponse(this: OwnedStream, head: Head, flags: number, raw?: string[]): void {
  this[OWNER].responded(head[":status"] ?? 0, flags, raw ?? []);
}
function onData(this: OwnedStream, chunk: Uint8Array): void {
  this[OWNER].data(chunk);
}
function onTrailers(this: OwnedStream, _head: IncomingHttpHeaders, flags: number, raw?: string[]): void {
  this[OWNER].trailed(flags, raw ?? []);
}
function onEnd(this: OwnedStream): void {
  this[OWNER].readEnded(this);
}
function onError(this: OwnedStream, error: Error): void {
  this[OWNER].closed(this, error);
}
function onClose(this: OwnedStream): void {
  this[OWNER].closed(this, undefined);
  this[OWNER].gone();
}
function onDrain(this: OwnedStream): void {
  this[OWNER].drained();
}
function onWantTrailers(this: OwnedStream): void {
  this[OWNER].requestTrailers(this);
}

/** The flat list with its pseudo-fields first (RFC 9113 §8.3). */
function headersOf(call: Call): string[] {
  const { method, scheme, authority, target, headers, body } = call.request;
  const flat = [":method", method, ":scheme", scheme, ":authority", authority, ":path", target];
  const fields = headers.flat;
  for (let i = 0; i < fields.length; i++) flat.push(fields[i]!);
  if (body?.length !== undefined) flat.push("content-length", String(body.length));
  return flat;
}

/** A copy without pseudo-fields, which stand first (RFC 9113 §8.3). */
function fieldsOf(raw: readonly string[]): HeaderList {
  let first = 0;
  while (first < raw.length && raw[first]!.startsWith(":")) first += 2;
  return new HeaderList(raw.slice(first));
}
