import type { Body, BodyProducer, HeaderList } from "sluice/plugin";
import { OwnedMemory } from "../http1/index.ts";
import {
  CANCEL,
  FLOW_CONTROL_ERROR,
  FrameBody,
  MAX_FRAME,
  permittedTrailers,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  type RoomSeeker,
} from "../http2/index.ts";
import { uncheckedHeaders } from "../plugin/headers.ts";
import type { Call, CallRunner } from "./call.ts";
import { abandoned, broken, malformed, timedOut, unsendable, wrongLength } from "./failures.ts";
import { statusOf } from "./http2-head.ts";

/** How often a request is sent again whose stream was refused: its server has too much to do. */
const MAX_REFUSALS = 2;
/**
 * How often one is that a GOAWAY left out: connections that end after a few requests leave out most of a burst, each
 * time fewer.
 */
const MAX_GOAWAYS = 16;

/** What a peer may send on a stream before its reader has taken it; the reader's queue comes on top. */
export const STREAM_WINDOW = 262_144;

/** A stream's connection, as the stream sees it. */
export interface StreamHost {
  /** Monotonic milliseconds. */
  now(): number;
  /** HEADERS, with what continues them. */
  sendHeaders(stream: Http2Stream, flat: readonly string[], end: boolean): void;
  /** How many bytes of DATA may go now, by the connection's window and its buffers. */
  readonly room: number;
  /** One DATA frame within {@link MAX_FRAME} and `room`. */
  sendData(stream: Http2Stream, bytes: Uint8Array, from: number, to: number, end: boolean): void;
  /** END_STREAM, behind everything else. */
  sendEnd(stream: Http2Stream): void;
  /** Calls `roomAgain` once there may be room. */
  awaitRoom(stream: Http2Stream): void;
  /** The reader took bytes: the peer may send as many more. */
  credit(stream: Http2Stream, bytes: number): void;
  /** RST_STREAM; the stream is over for both. */
  resetStream(stream: Http2Stream, code: number): void;
  /** Both directions have ended. */
  streamEnded(stream: Http2Stream): void;
  /** Puts a call that was not processed on a connection that came to stand later. */
  retry(call: Call, most: number): boolean;
  /** An answer is overdue. */
  suspect(): void;
}

/** One request and its answer on an HTTP/2 connection. */
export class Http2Stream implements CallRunner, BodyProducer, RoomSeeker {
  readonly id: number;
  /** Bytes that the peer takes of the request's body now. */
  sendWindow: number;
  readonly #host: StreamHost;
  readonly #call: Call;
  /** Bytes that the peer may still send, as it knows. */
  #receiveWindow = STREAM_WINDOW;
  /** Bytes that were read and that the peer has not been told of. */
  #uncredited = 0;
  #paused = false;
  #queue: FrameBody | undefined;
  /** The final head is here. */
  #answered = false;
  /** END_STREAM was sent; nothing more may go. */
  #sentEnd = false;
  /** The answer is complete or failed: whatever comes now is nobody's. */
  #over = false;
  /** Monotonic milliseconds at which the answer's head or its next piece is late. */
  #deadline = Infinity;
  /** Monotonic milliseconds since which the peer takes nothing of the request; 0 while it does. */
  #stalledSince = 0;
  #wake: (() => void) | undefined;
  /** Bytes that the answer still owes; NaN where it did not say. */
  #owed = NaN;

  constructor(id: number, host: StreamHost, call: Call, sendWindow: number) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.#host = host;
    this.#call = call;
    call.runner = this;
  }

  // The request on its way.

  /** Sends the head (of {@link headOf}), and of the body what is at hand. */
  begin(head: readonly string[]): void {
    const call = this.#call;
    const { request, bytes } = call;
    const trailers = call.whole ? request.body?.trailers : undefined;
    const bare = call.whole && bytes === undefined && trailers === undefined;
    this.#host.sendHeaders(this, head, bare);
    request.progress.sent = true;
    if (bare) this.#sent();
    else if (call.whole && trailers === undefined && this.#fits(bytes!.byteLength)) {
      this.#host.sendData(this, bytes!, 0, bytes!.byteLength, true);
      this.#sent();
    } else void this.#send(request.body as Body);
  }

  /** The peer's window, or the connection, has room again. */
  roomAgain(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  async #send(body: Body): Promise<void> {
    const call = this.#call;
    const memory = call.ownsBody ? new OwnedMemory() : undefined;
    let total = 0;
    try {
      if (call.bytes !== undefined) {
        total = call.bytes.byteLength;
        await this.#write(call.bytes);
      }
      while (!this.#over) {
        const next = call.read();
        const chunk = next instanceof Promise ? await next : next;
        // Where the request is sent again, the next stream reads on.
        if (this.#over) return;
        call.took(chunk);
        if (chunk === null) break;
        total += chunk.byteLength;
        memory?.begin(chunk);
        await this.#write(chunk);
        // Its bytes are in the frames now.
        memory?.end(chunk);
      }
      if (this.#over) return;
      // The peer would call the request malformed; so that it cannot take it for complete, it never ends.
      if (body.length !== undefined && total !== body.length) {
        throw wrongLength(body.length);
      }
    } catch (error) {
      this.#fail(unsendable(error));
      return;
    }
    const trailers = permittedTrailers(body.trailers?.flat ?? []);
    if (trailers.length === 0) this.#host.sendEnd(this);
    else this.#host.sendHeaders(this, trailers, true);
    this.#sent();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) {
      if (this.#over) return;
      const count = Math.min(bytes.byteLength - at, MAX_FRAME, this.sendWindow, this.#host.room);
      if (count > 0) {
        this.#stalledSince = 0;
        this.#host.sendData(this, bytes, at, at + count, false);
        at += count;
        continue;
      }
      this.#stalledSince ||= this.#host.now();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#host.awaitRoom(this);
      });
    }
  }

  #fits(count: number): boolean {
    return count <= MAX_FRAME && count <= this.sendWindow && count <= this.#host.room;
  }

  #sent(): void {
    this.#sentEnd = true;
    this.#call.request.progress.finished = true;
    if (this.#over) this.#host.streamEnded(this);
    else if (!this.#answered) this.#await(this.#call.request.timeouts.firstByte);
  }

  // The answer on its way.

  /** A header block: an informational head, the head, or trailers. */
  head(flat: string[], flaw: string | undefined, end: boolean): void {
    if (this.#over) return;
    if (flaw !== undefined) this.refuse(flaw);
    else if (this.#answered) this.#trailed(flat, end);
    else this.#headed(flat, end);
  }

  #headed(flat: string[], end: boolean): void {
    const status = statusOf(flat);
    if (status === undefined) this.refuse("a head that is none");
    else if (status < 200) {
      // RFC 9113 §8.1 and §8.6: an informational head ends nothing, and 101 does not exist.
      if (end || status === 101) this.refuse("an informational head where there can be none");
      else if (status !== 100) this.#call.request.onInform(status, uncheckedHeaders(flat.slice(2)));
    } else this.#begin(status, uncheckedHeaders(flat.slice(2)), end);
  }

  #begin(status: number, headers: HeaderList, end: boolean): void {
    this.#answered = true;
    this.#deadline = Infinity;
    const bodiless = this.#call.request.method === "HEAD" || status === 204 || status === 304;
    const announced = bodiless ? undefined : headers.get("content-length");
    if (announced !== undefined) {
      this.#owed = /^\d{1,15}$/.test(announced) ? Number(announced) : -1;
      if (this.#owed < 0 || (end && this.#owed > 0)) {
        this.refuse("a content-length that is none");
        return;
      }
    }
    if (!end) {
      if (!bodiless) this.#queue = new FrameBody(this, announced === undefined ? undefined : this.#owed);
      // Also without a body: until it ends, the stream takes another one's place.
      this.#await(this.#call.request.timeouts.idle);
    }
    this.#call.succeed({ status, headers, body: this.#queue ?? null });
    if (end) this.#complete(undefined);
  }

  #trailed(flat: string[], end: boolean): void {
    // RFC 9113 §8.1: trailers end the message, and hold no pseudo-fields.
    if (!end || flat.some((name, i) => i % 2 === 0 && name.startsWith(":")))
      this.refuse("trailers that are none");
    else if (this.#owed > 0) this.refuse("less content than it announced");
    else this.#complete(uncheckedHeaders(permittedTrailers(flat)));
  }

  /** A DATA frame. `cost` is what it takes of the window: padding counts. */
  content(bytes: Buffer, from: number, to: number, cost: number, end: boolean): void {
    if (this.#over) return;
    this.#receiveWindow -= cost;
    if (this.#receiveWindow < 0) this.refuse("more than the window", FLOW_CONTROL_ERROR);
    else if (!this.#answered) this.refuse("content before its head");
    else if (this.#queue === undefined && to > from) this.refuse("content where there can be none");
    else {
      this.#owed -= to - from;
      if (this.#owed < 0) this.refuse("more content than it announced");
      else if (end && this.#owed > 0) this.refuse("less content than it announced");
      else this.#took(bytes, from, to, cost, end);
    }
  }

  #took(bytes: Buffer, from: number, to: number, cost: number, end: boolean): void {
    if (to > from) this.#queue?.take(bytes, from, to);
    if (end) {
      this.#complete(undefined);
      return;
    }
    this.#uncredited += cost;
    if (this.#paused) return;
    this.#credit();
    this.#await(this.#call.request.timeouts.idle);
  }

  /** RST_STREAM came. */
  wasReset(code: number): void {
    if (this.#over) return;
    const error = broken(new Error(`RST_STREAM with code ${code}`));
    if (code === REFUSED_STREAM) this.unprocessed(error, true);
    else this.#lose(error);
  }

  /** The connection is gone. */
  lost(error: unknown): void {
    if (!this.#over) this.#lose(error);
  }

  /**
   * The peer has not looked at the request (RFC 9113 §8.7): it may be sent again, whatever it is.
   * @param reset by RST_STREAM; otherwise by GOAWAY.
   */
  unprocessed(error: unknown, reset: boolean): void {
    if (this.#over) return;
    // Whoever has answered it cannot mean that.
    if (this.#answered) {
      this.#lose(error);
      return;
    }
    const call = this.#call;
    call.request.progress.sent = false;
    this.#settle();
    if (!call.rewind() || !this.#host.retry(call, reset ? MAX_REFUSALS : MAX_GOAWAYS)) call.fail(error);
  }

  // The answer's reader, the caller, and time.

  pause(): void {
    this.#paused = true;
    // The wait is the reader's now, not the upstream's.
    this.#deadline = Infinity;
  }

  resume(): void {
    this.#paused = false;
    this.#credit();
    this.#await(this.#call.request.timeouts.idle);
  }

  cancelled(reason: unknown): void {
    this.#fail(abandoned(reason));
  }

  cancel(_call: Call, reason: unknown): void {
    this.#fail(abandoned(reason));
  }

  sweep(now: number): void {
    if (now >= this.#deadline) {
      if (!this.#answered) this.#host.suspect();
      this.#fail(timedOut(this.#answered ? "idle" : "first_byte"));
      return;
    }
    const idle = this.#call.request.timeouts.idle;
    if (this.#stalledSince !== 0 && idle !== undefined && now - this.#stalledSince >= idle) {
      this.#fail(timedOut("idle"));
    }
  }

  #credit(): void {
    // Every so often is enough: the peer has the other half to go on with.
    if (this.#uncredited < STREAM_WINDOW / 2) return;
    this.#receiveWindow += this.#uncredited;
    this.#host.credit(this, this.#uncredited);
    this.#uncredited = 0;
  }

  #await(timeout: number | undefined): void {
    this.#deadline = timeout === undefined ? Infinity : this.#host.now() + timeout;
  }

  // How it ends.

  #complete(trailers: HeaderList | undefined): void {
    this.#settle();
    this.#call.finish();
    this.#queue?.end(trailers);
    if (this.#sentEnd) {
      this.#host.streamEnded(this);
      return;
    }
    // The answer did not wait for the rest of the request: nobody wants it.
    this.#call.request.body?.cancel();
    this.#host.resetStream(this, CANCEL);
  }

  /** We give it up. */
  #fail(error: unknown, code = CANCEL): void {
    if (this.#over) return;
    this.#lose(error);
    this.#host.resetStream(this, code);
  }

  /** The peer's answer is not acceptable. */
  refuse(what: string, code = PROTOCOL_ERROR): void {
    this.#fail(malformed(what), code);
  }

  /** Nothing more will come or go. */
  #lose(error: unknown): void {
    this.#settle();
    if (this.#queue === undefined) this.#call.fail(error);
    else {
      this.#call.finish();
      this.#queue.fail(error);
    }
  }

  #settle(): void {
    this.#over = true;
    this.#deadline = Infinity;
    this.roomAgain();
  }
}
