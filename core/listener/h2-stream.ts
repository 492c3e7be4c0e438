import { type Body, type ConnectionFacts, ERROR_CODES, type HeaderList, SluiceError } from "sluice/plugin";
import type { Limits } from "../../config/types.ts";
import {
  CANCEL,
  FLOW_CONTROL_ERROR,
  type FrameWriter,
  INTERNAL_ERROR,
  isConnectionSpecific,
  PADDED_VALUE,
  PROTOCOL_ERROR,
  type SendRoom,
  TOO_LARGE,
} from "../http2/index.ts";
import { H2Answer } from "./h2-answer.ts";
import { informFields } from "./h2-answer-fields.ts";
import { type H2RequestHead, readTrailers } from "./h2-headers.ts";
import { RequestBody, type RequestBodyOwner } from "./h2-request-body.ts";
import type { H2Shared } from "./h2-shared.ts";
import type { Inbound, Sent } from "./inbound.ts";

/** Bytes of a request's body that a client may send ahead of its reader; the reader's queue comes on top. */
export const RECEIVE_WINDOW = 262_144;

/** A stream's connection, as the stream sees it. */
export interface StreamHost {
  readonly shared: H2Shared;
  readonly facts: ConnectionFacts;
  readonly writer: FrameWriter;
  readonly sendRoom: SendRoom;
  /** So many bytes that a stream received are held no longer: the client may send as many more, on any. */
  release(bytes: number): void;
  /** RST_STREAM, by our own will; the stream is over. */
  resetStream(stream: H2Stream, code: number): void;
  /** The same because the client broke the protocol on it. */
  breachOf(stream: H2Stream, code: number): void;
  /** The answer was sent. */
  streamEnded(stream: H2Stream): void;
}

/** One request on one HTTP/2 stream, and the way to its answer (RFC 9113 §5.1). */
export class H2Stream implements Inbound, RequestBodyOwner {
  readonly httpVersion = "2";
  readonly id: number;
  readonly connection: ConnectionFacts;
  readonly method: string;
  readonly rawTarget: string;
  readonly authority: string;
  readonly headers: HeaderList;
  readonly body: RequestBody | null;
  bodyMayRest = false;
  onGone: ((error: SluiceError) => void) | undefined = undefined;
  /** Bytes of the answer that the client takes now. */
  sendWindow: number;
  readonly #host: StreamHost;
  /** END_STREAM came: the stream is half-closed (remote). */
  #requestDone: boolean;
  #expectContinue: boolean;
  /** Bytes of the body that are still to come; NaN where the client did not say. */
  #owed: number;
  #received = 0;
  /** Bytes that the client may still send, as it knows. */
  #receiveWindow = RECEIVE_WINDOW;
  /** Bytes that came and that the client was not told to send again. */
  #uncredited = 0;
  /** Bytes of the connection's window that wait here to be read. */
  #held = 0;
  #paused = false;
  /** Coarse time since which the client owes a piece of the body; 0 where it owes none. */
  #waitingSince = 0;
  #answer: H2Answer | undefined = undefined;
  /** Why there is nobody to answer any more, or "ended" where the stream is over in order. */
  #over: unknown = undefined;

  /** @param ended the header block ended the stream: there is no body */
  constructor(host: StreamHost, id: number, head: H2RequestHead, ended: boolean, sendWindow: number) {
    this.#host = host;
    this.id = id;
    this.connection = host.facts;
    this.method = head.method;
    this.rawTarget = head.target;
    this.authority = head.authority;
    this.headers = head.headers;
    this.sendWindow = sendWindow;
    this.#expectContinue = head.expectContinue;
    this.#requestDone = ended;
    this.#owed = head.contentLength ?? Number.NaN;
    if (ended) {
      this.body = null;
      return;
    }
    // HTTP/1.1 has trailers behind chunks alone: with announced ones the body goes on as one of unknown length. That it is
    // as long as it says is looked to here.
    const length = head.headers.has("trailer") ? undefined : head.contentLength;
    this.body = new RequestBody(this, length);
    this.#waitingSince = host.shared.now;
  }

  get scheme(): "http" | "https" {
    return this.connection.tls === undefined ? "http" : "https";
  }

  /** Whether the client has sent END_STREAM. */
  get requestDone(): boolean {
    return this.#requestDone;
  }

  /** Whether the client can end the request without being granted anything for it. */
  get endsByItself(): boolean {
    return this.#owed <= this.#receiveWindow;
  }

  // The request on its way.

  /** DATA: `bytes` from `from` to `to`. `cost` is what it takes of the windows: padding counts. */
  content(bytes: Buffer, from: number, to: number, cost: number, end: boolean): void {
    this.#receiveWindow -= cost;
    this.#held += cost;
    if (this.#receiveWindow < 0) {
      this.#host.breachOf(this, FLOW_CONTROL_ERROR);
      return;
    }
    // RFC 9113 §8.1.1.
    this.#owed -= to - from;
    if (this.#owed < 0 || (end && this.#owed > 0)) {
      this.#host.breachOf(this, PROTOCOL_ERROR);
      return;
    }
    if (to > from) this.#take(bytes, from, to);
    this.#release();
    if (end) this.#endRequest(undefined);
    else this.#credit(cost);
  }

  #take(bytes: Buffer, from: number, to: number): void {
    const body = this.body!;
    if (body.settled) return;
    this.#received += to - from;
    if (this.#received > this.#host.shared.limits().body) {
      this.#failBody("payload_too_large", "limits.body", "the body is too large");
      return;
    }
    body.take(bytes, from, to);
    // What was under way when it was paused says nothing about the client.
    if (!this.#paused) this.#waitingSince = this.#host.shared.now;
  }

  /** A header block behind the head. */
  trailers(flat: readonly string[], flaw: string | undefined, end: boolean): void {
    const ours = flaw === undefined || flaw === PADDED_VALUE || flaw === TOO_LARGE;
    // RFC 9113 §8.1: they end the message, hold no pseudo-fields, and come when all of the body is here.
    if (!ours || !end || this.#owed > 0 || flat.some((name, i) => i % 2 === 0 && isNoTrailer(name))) {
      this.#host.breachOf(this, PROTOCOL_ERROR);
      return;
    }
    const trailers = readTrailers(flat, flaw, this.#host.shared.limits());
    if (trailers === undefined) {
      this.#failBody("bad_request", "malformed.trailers", "malformed request: illegal trailers");
    }
    this.#endRequest(trailers);
  }

  #endRequest(trailers: HeaderList | undefined): void {
    this.#requestDone = true;
    this.#waitingSince = 0;
    this.body?.end(trailers);
  }

  // Its reader.

  pause(): void {
    this.#paused = true;
    this.#waitingSince = 0;
  }

  resume(): void {
    if (this.#over !== undefined) return;
    this.#paused = false;
    this.#waitingSince = this.#host.shared.now;
    this.#credit(0);
  }

  /** Nobody reads on: the window is not opened again, and the stream is reset once the answer has left. */
  cancelled(): void {
    this.pause();
  }

  wasRead(): void {
    if (this.#held > 0) this.#release();
  }

  /** The client may go on: with as much as came, unless the reader is behind. */
  #credit(cost: number): void {
    this.#uncredited += cost;
    // Every so often is enough: the client has the other half to go on with.
    if (this.#paused || this.#uncredited < RECEIVE_WINDOW / 2) return;
    this.#receiveWindow += this.#uncredited;
    this.#host.writer.windowUpdate(this.id, this.#uncredited);
    this.#uncredited = 0;
  }

  /** What is not here any more may come again, on whichever stream. */
  #release(): void {
    const unread = this.body?.buffered ?? 0;
    const freed = this.#held - unread;
    if (freed <= 0) return;
    this.#held = unread;
    this.#host.release(freed);
  }

  /** Tells a client that waits for it to send the body (RFC 9110 §10.1.1). */
  wanted(): void {
    if (!this.#expectContinue) return;
    this.#expectContinue = false;
    if (this.#received > 0 || this.#over !== undefined || this.#answer !== undefined) return;
    // However far the wire is behind: who waits for it may wait for good.
    this.#host.writer.headers(this.id, [":status", "100"], false);
  }

  #failBody(
    code: "request_timeout" | "payload_too_large" | "bad_request",
    reason: string,
    message: string,
  ): void {
    this.pause();
    this.body?.fail(new SluiceError(code, message, { reason }));
  }

  // The answer.

  respond(status: number, headers: HeaderList, body: Body | null): Sent | Promise<Sent> {
    const { clock, date } = this.#host.shared;
    const firstByteAt = clock.monotonic();
    if (this.#over !== undefined || this.#answer !== undefined) {
      body?.cancel();
      const error = this.#over instanceof SluiceError ? this.#over : gone();
      return { bytes: 0, complete: false, firstByteAt, error };
    }
    const answer = (this.#answer = new H2Answer(this, this.#host, firstByteAt));
    return answer.begin(status, headers, body, date.value());
  }

  inform(status: number, headers: HeaderList): void {
    const { sendRoom, writer } = this.#host;
    // One that would have to wait helps nobody.
    if (this.#over !== undefined || this.#answer !== undefined || sendRoom.congested) return;
    writer.headers(this.id, informFields(status, headers), false);
  }

  /** Resets the stream: what was to answer it failed. */
  abandon(error: unknown): void {
    if (this.#answer !== undefined) this.#answer.fail(error);
    else this.answerFailed(error);
  }

  /** The answer was sent, END_STREAM included. */
  answerEnded(): void {
    this.#host.streamEnded(this);
  }

  /** The answer broke off from our side. */
  answerFailed(error: unknown): void {
    if (this.#over !== undefined) return;
    const left = error instanceof SluiceError && error.code === "client_closed";
    this.#close(error);
    this.#host.resetStream(this, left ? CANCEL : INTERNAL_ERROR);
  }

  /** The client takes more of it. */
  windowOpened(): void {
    this.#answer?.windowOpened();
  }

  // How it ends.

  /** Both directions are over, or the rest of the request is not wanted. */
  ended(): void {
    // Errors cost a stack trace: most requests end without.
    const unread = this.body !== null && !this.body.settled;
    this.#close(unread ? gone() : "ended");
  }

  /** The client reset the stream, or is gone, or broke the protocol. */
  lost(error: SluiceError): void {
    if (this.#over !== undefined) return;
    const whole = this.#answer?.ended === true;
    this.#close(error);
    if (!whole) this.onGone?.(error);
  }

  #close(why: unknown): void {
    this.#over = why;
    this.#waitingSince = 0;
    this.#host.release(this.#held);
    this.#held = 0;
    const { body } = this;
    if (body !== null && !body.settled) body.fail(why);
    this.#answer?.close(why);
  }

  /** Enforces the deadlines of the request's body and of the answer's reader. `now` is above 0. */
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
}

/** The client has left. */
export function gone(): SluiceError {
  return new SluiceError("client_closed", ERROR_CODES.client_closed.meaning, { reason: "client.gone" });
}

/** RFC 9113 §8.1, §8.2.2: what makes a trailer section malformed, wherever else it would be dropped. */
function isNoTrailer(name: string): boolean {
  return name.startsWith(":") || isConnectionSpecific(name);
}
