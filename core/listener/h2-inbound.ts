import type { ServerHttp2Stream } from "node:http2";
import { Duplex } from "node:stream";
import {
  type Body,
  type BodyProducer,
  BodyQueue,
  type ConnectionFacts,
  ERROR_CODES,
  type HeaderList,
  SluiceError,
} from "sluice/plugin";
import type { Limits } from "../../config/types.ts";
import { type AnswerHost, H2Answer } from "./h2-answer.ts";
import { CANCEL, NO_ERROR } from "../http2/frames.ts";
import { type FieldObject, type H2RequestHead, informObject, readTrailers } from "./h2-headers.ts";
import type { H2Shared } from "./h2-shared.ts";
import type { StreamWindow } from "./h2-violations.ts";
import type { Inbound, Sent } from "./inbound.ts";

const INBOUND: unique symbol = Symbol("inbound");
/** A stream that knows its request, so that listeners are shared by all streams and no closures a request. */
type Tracked = ServerHttp2Stream & { [INBOUND]: H2Inbound };

/** What a request needs of the connection that it came by. */
export interface StreamHost extends AnswerHost {
  readonly shared: H2Shared;
  readonly facts: ConnectionFacts;
  /** Why we cut the connection, where we did. */
  readonly cutBy: SluiceError | undefined;
  /** The fields of the header block that is being handed on: `raw`, and what the session was spared. */
  whole(raw: readonly string[]): readonly string[] | undefined;
  /** The stream is over. `aborted`: neither side finished it in order, and it was not ours to break it. */
  streamClosed(inbound: H2Inbound, aborted: boolean): void;
}

/** One request on one HTTP/2 stream, and the way to its answer. */
export class H2Inbound implements Inbound, BodyProducer, StreamWindow {
  readonly httpVersion = "2";
  /** Of its stream. */
  readonly id: number;
  readonly connection: ConnectionFacts;
  readonly method: string;
  readonly rawTarget: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly headers: HeaderList;
  readonly body: BodyQueue | null;
  bodyMayRest = false;
  onGone: ((error: SluiceError) => void) | undefined;
  granted = 0;
  readonly #stream: Tracked;
  readonly #host: StreamHost;
  #received = 0;
  #paused = false;
  /** Coarse time since which the client owes a piece of the body; 0 where it owes none. */
  #waitingSince = 0;
  #trailers: HeaderList | undefined;
  #expectContinue: boolean;
  #requestDone: boolean;
  #answer: H2Answer | undefined;
  #sent = false;
  #over = false;

  /** @param ended the header block ended the stream: there is no body */
  constructor(host: StreamHost, stream: ServerHttp2Stream, head: H2RequestHead, ended: boolean) {
    const tracked = stream as Tracked;
    tracked[INBOUND] = this;
    this.id = stream.id ?? 0;
    this.#stream = tracked;
    this.#host = host;
    this.connection = host.facts;
    this.method = head.method;
    this.rawTarget = head.target;
    this.scheme = host.facts.tls === undefined ? "http" : "https";
    this.authority = head.authority;
    this.headers = head.headers;
    this.#expectContinue = head.expectContinue;
    this.#requestDone = ended;
    tracked.on("close", onClose);
    if (ended) {
      this.body = null;
      return;
    }
    // HTTP/1.1 has trailers behind chunks alone: with announced ones the body goes on as one of unknown length. That it is
    // as long as it says, the runtime looks to.
    const length = head.headers.has("trailer") ? undefined : head.contentLength;
    this.body = head.expectContinue ? new ExpectedBody(this, length) : new BodyQueue(this, length);
    this.#waitingSince = host.shared.now;
    tracked.on("finish", onFinish);
    tracked.on("end", onEnd);
    tracked.on("trailers", onTrailers);
    tracked.push = onPush;
    tracked.resume();
  }

  get used(): number {
    return this.#answer?.bytes ?? 0;
  }

  pause(): void {
    this.#paused = true;
    this.#waitingSince = 0;
    this.#stream.pause();
  }

  resume(): void {
    if (this.#over) return;
    this.#paused = false;
    this.#waitingSince = this.#host.shared.now;
    this.#stream.resume();
  }

  /** Nobody reads on: the window is not opened again, and the stream is reset once the answer has left. */
  cancelled(): void {
    this.pause();
  }

  /** Tells a client that waits for it to send the body (RFC 9110 §10.1.1). */
  sendContinue(): void {
    if (!this.#expectContinue) return;
    this.#expectContinue = false;
    if (this.#received === 0) this.#inform({ ":status": 100 });
  }

  /** Enforces the deadlines of the request's body and of the answer's reader. */
  sweep(now: number, limits: Limits): void {
    const answer = this.#answer;
    if (answer !== undefined) {
      answer.sweep(now, limits.idleTimeout);
      return;
    }
    if (this.#waitingSince === 0 || now - this.#waitingSince < limits.bodyTimeout) return;
    // Who takes the leave back, for another upstream, begins the wait anew.
    if (this.bodyMayRest) this.#waitingSince = now;
    else this.#failBody("request_timeout", "timeout.body", "the request's body came too slowly");
  }

  respond(status: number, headers: HeaderList, body: Body | null): Promise<Sent> {
    const { clock, date } = this.#host.shared;
    return new Promise((resolve) => {
      const answer = new H2Answer(this.#host, this.#stream, clock.monotonic(), resolve);
      if (this.#over || this.#answer !== undefined || this.#stream.destroyed) {
        body?.cancel();
        answer.close(false, this.#host.cutBy ?? gone());
      } else {
        this.#answer = answer;
        answer.begin(this.method, status, headers, body, date.value());
      }
    });
  }

  inform(status: number, headers: HeaderList): void {
    this.#inform(informObject(status, headers));
  }

  /** Resets the stream: what was to answer it failed. */
  abandon(error: unknown): void {
    const answer = this.#answer ?? new H2Answer(this.#host, this.#stream, 0, ignore);
    this.#answer = answer;
    answer.fail(error);
  }

  /** @internal @returns whether the client may be asked for more */
  receive(chunk: Uint8Array): boolean {
    const body = this.body!;
    if (body.settled) return false;
    this.#received += chunk.byteLength;
    if (this.#received > this.#host.shared.limits().body) {
      this.#failBody("payload_too_large", "limits.body", "the body is too large");
      return false;
    }
    // What was under way when it was paused says nothing about the client.
    if (!this.#paused) this.#waitingSince = this.#host.shared.now;
    body.push(chunk);
    return !this.#paused;
  }

  /** @internal */
  receiveTrailers(raw: readonly string[]): void {
    const fields = this.#host.whole(raw);
    this.#trailers = fields && readTrailers(fields, this.#host.shared.limits());
    if (this.#trailers === undefined) {
      this.#failBody("bad_request", "malformed.trailers", "malformed request: illegal trailers");
    }
  }

  /** @internal */
  receiveEnd(): void {
    // A reset ends the readable side, too; `close` says so.
    if (this.#stream.aborted) return;
    this.#requestDone = true;
    this.#waitingSince = 0;
    this.body?.end(this.#trailers);
  }

  /** @internal The answer has left, END_STREAM included, and the request is not over. */
  finished(): void {
    const stream = this.#stream;
    if (this.#requestDone || stream.destroyed || !this.#complete()) return;
    this.#sent = true;
    // RFC 9113 §8.1: the rest of the request is not wanted, and nothing was wrong with it.
    (stream as { rstCode: number }).rstCode = NO_ERROR;
    stream.destroy();
  }

  /** @internal */
  closed(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#sent || this.#complete()) {
      this.#host.streamClosed(this, false);
      this.#answer?.close(true, undefined);
      // Errors cost a stack trace: most requests end without.
      if (this.body !== null && !this.body.settled) this.body.fail(gone());
      return;
    }
    const ours = this.#answer?.error;
    const error = ours ?? this.#whyGone();
    this.#host.streamClosed(this, ours === undefined);
    this.body?.fail(error);
    this.#answer?.close(false, error);
    if (ours === undefined) this.onGone?.(error as SluiceError);
  }

  /** Whether all of the answer has left. A stream that is torn down "finishes" as well: its code tells. */
  #complete(): boolean {
    const answer = this.#answer;
    return answer !== undefined && answer.ended && answer.error === undefined && !this.#stream.rstCode;
  }

  #whyGone(): SluiceError {
    const { cutBy } = this.#host;
    if (cutBy !== undefined) return cutBy;
    const code = this.#stream.rstCode ?? CANCEL;
    // The runtime resets a stream that breaks the protocol: a body unlike its content-length, a wrong frame.
    return BREACHES.has(code)
      ? new SluiceError("bad_request", "the request broke the protocol", { reason: "http2.stream" })
      : gone();
  }

  #failBody(
    code: "request_timeout" | "payload_too_large" | "bad_request",
    reason: string,
    message: string,
  ): void {
    this.pause();
    this.body?.fail(new SluiceError(code, message, { reason }));
  }

  #inform(fields: FieldObject): void {
    const stream = this.#stream;
    if (this.#over || stream.destroyed || stream.closed || stream.headersSent) return;
    try {
      stream.additionalHeaders(fields);
    } catch (error) {
      this.#host.shared.log.debug({ err: error }, "an informational answer was not sent");
    }
  }
}

/** PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR. */
const BREACHES: ReadonlySet<number> = new Set([0x1, 0x3, 0x5, 0x6]);

/** A body whose first read asks for it. */
class ExpectedBody extends BodyQueue {
  readonly #inbound: H2Inbound;

  constructor(inbound: H2Inbound, length: number | undefined) {
    super(inbound, length);
    this.#inbound = inbound;
  }

  override read(): Uint8Array | null | Promise<Uint8Array | null> {
    this.#inbound.sendContinue();
    return super.read();
  }

  override poll(): Uint8Array | null | undefined {
    this.#inbound.sendContinue();
    return super.poll();
  }
}

function gone(): SluiceError {
  return new SluiceError("client_closed", ERROR_CODES.client_closed.meaning, { reason: "client.gone" });
}

/**
 * Stands in for a stream's own `push`: what comes goes to the body at once and never into the stream's buffer. That
 * one has no bound on this runtime: `resume` opens the window for everything that came since `pause`, whether or not
 * it was read meanwhile, so a reader that is slower than its client would be sent more with each pause. The end goes
 * the usual way.
 */
function onPush(this: Tracked, chunk: Uint8Array | null): boolean {
  if (chunk === null) return pushToStream.call(this, null);
  return this[INBOUND].receive(chunk);
}
const pushToStream = Duplex.prototype.push;
function onEnd(this: unknown): void {
  (this as Tracked)[INBOUND].receiveEnd();
}
function onTrailers(this: unknown, _fields: unknown, _flags: number, raw: readonly string[]): void {
  (this as Tracked)[INBOUND].receiveTrailers(raw);
}
function onFinish(this: unknown): void {
  (this as Tracked)[INBOUND].finished();
}
function onClose(this: unknown): void {
  (this as Tracked)[INBOUND].closed();
}
function ignore(): void {}
