import type { ServerHttp2Stream } from "node:http2";
import { type Body, type HeaderList, SluiceError } from "sluice/plugin";
import { CANCEL, INTERNAL_ERROR } from "../http2/frames.ts";
import { isLarge, OwnedMemory } from "../http1/owned-memory.ts";
import { answerFields, trailerObject } from "./h2-headers.ts";
import type { Sent } from "./inbound.ts";

/** Bytes that may wait in a stream before its body is read on. */
const WRITE_AHEAD = 65_536;
const END = Object.freeze({ endStream: true });
const TRAILERS = Object.freeze({ waitForTrailers: true });

type Read = Uint8Array | null | Promise<Uint8Array | null>;

/** The connection below an answer, which several of them share. */
export interface AnswerHost {
  /** The connection is behind: read on only when `resume` is called. */
  readonly congested: boolean;
  awaitRoom(answer: H2Answer): void;
}

/** One answer on its way out: pulls the body no faster than the client takes it. */
export class H2Answer {
  /** What broke the answer from our side. */
  error: unknown;
  /** Whether the last byte was handed to the stream. */
  ended = false;
  readonly #host: AnswerHost;
  readonly #stream: ServerHttp2Stream;
  readonly #firstByteAt: number;
  readonly #resolve: (sent: Sent) => void;
  #body: Body | null = null;
  /** Where the body's chunks are ours alone. */
  #memory: OwnedMemory | undefined;
  #bytes = 0;
  #over = false;
  #awaitingRoom = false;
  /** Bytes that had left when they were last counted, and since when it is as many. */
  #left = 0;
  #leftSince = 0;

  /** @param firstByteAt `clock.monotonic()` */
  constructor(
    host: AnswerHost,
    stream: ServerHttp2Stream,
    firstByteAt: number,
    resolve: (sent: Sent) => void,
  ) {
    this.#host = host;
    this.#stream = stream;
    this.#firstByteAt = firstByteAt;
    this.#resolve = resolve;
  }

  /** Sends the head and begins with the body. Never throws. */
  begin(method: string, status: number, headers: HeaderList, body: Body | null, date: string): void {
    this.#body = body;
    try {
      if (status < 200 || status > 599) {
        // HTTP/2 would carry it; `node:http2` refuses.
        throw new SluiceError("upstream_failed", `HTTP/2 cannot carry the status ${status}`, {
          reason: "protocol",
        });
      }
      const bodiless = method === "HEAD" || status === 204 || status === 304;
      if (body === null || bodiless) {
        this.#body = null;
        body?.cancel();
        // The length of a body that is not sent says something only here (RFC 9110 §8.6).
        const keepLength = method === "HEAD" || status === 304;
        this.ended = true;
        this.#stream.respond(answerFields(status, headers, undefined, keepLength, date), END);
        return;
      }
      this.#beginBody(answerFields(status, headers, body.length, false, date), body);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Bytes that were handed to the stream. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The stream is over; `complete` says whether everything left. `error` is why not. */
  close(complete: boolean, error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    if (!complete) this.#body?.cancel(error);
    this.#resolve({
      bytes: this.#bytes,
      complete,
      firstByteAt: this.#firstByteAt,
      error,
    });
  }

  /** Gives up on a client that has not read a piece for `timeout` milliseconds. `now` is above 0. */
  sweep(now: number, timeout: number): void {
    const waiting = this.#stream.writableLength;
    const left = this.#bytes - waiting;
    if ((waiting === 0 && !this.#awaitingRoom) || left !== this.#left || this.#leftSince === 0) {
      this.#left = left;
      this.#leftSince = now;
    } else if (now - this.#leftSince >= timeout) {
      this.fail(new SluiceError("client_closed", "the client stopped reading", { reason: "client.stalled" }));
    }
  }

  /** Goes on after `awaitRoom`. */
  resume(): void {
    this.#awaitingRoom = false;
    if (this.#over || this.error !== undefined) return;
    try {
      if (!this.#mustWait()) this.#pump(this.#body!.read());
    } catch (error) {
      this.fail(error);
    }
  }

  /** Breaks the answer off: with RST_STREAM, never END_STREAM, or the client takes it for whole. */
  fail(error: unknown): void {
    if (this.#over || this.error !== undefined) return;
    this.error = error;
    const stream = this.#stream;
    if (stream.destroyed) return;
    const gone = error instanceof SluiceError && error.code === "client_closed";
    const why = error instanceof Error ? error : new Error("the answer failed", { cause: error });
    resetStream(stream, gone ? CANCEL : INTERNAL_ERROR, why);
  }

  #beginBody(fields: string[], body: Body): void {
    const stream = this.#stream;
    if (body.own?.() === true) this.#memory = new OwnedMemory();
    // A look at what is at hand: a short answer is one HEADERS and one DATA, and leaves in one piece.
    const first = body.read();
    const second = first instanceof Promise || first === null ? undefined : body.read();
    const whole = first === null || second === null;
    if (whole && body.trailers === undefined) {
      this.ended = true;
      stream.respond(fields, first === null ? END : undefined);
    } else {
      stream.respond(fields, TRAILERS);
      stream.on("wantTrailers", () => this.#sendTrailers());
    }
    if (whole) {
      this.ended = true;
      if (first !== null) this.#bytes = (first as Uint8Array).byteLength;
      if (!stream.writableEnded) stream.end(first ?? undefined);
      return;
    }
    if (second !== undefined) this.#write(first as Uint8Array);
    this.#pump(second === undefined ? first : second);
  }

  #write(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    const memory = this.#memory;
    if (memory === undefined || !isLarge(chunk)) this.#stream.write(chunk);
    else {
      memory.begin(chunk);
      this.#stream.write(chunk, () => memory.end(chunk));
    }
  }

  /** Goes on with what `read` answered, until there is something to wait for. */
  #pump(from: Read): void {
    let next = from;
    try {
      for (;;) {
        if (next instanceof Promise) {
          next.then(
            (chunk) => this.#pump(chunk),
            (error: unknown) => this.fail(error),
          );
          return;
        }
        if (this.#over || this.error !== undefined || this.#stream.destroyed) return;
        if (next === null) {
          this.ended = true;
          this.#stream.end();
          return;
        }
        this.#write(next);
        if (this.#mustWait()) return;
        next = this.#body!.read();
      }
    } catch (error) {
      this.fail(error);
    }
  }

  /** Whether the client is behind; `resume` is called then when it has caught up. */
  #mustWait(): boolean {
    if (this.#stream.writableLength >= WRITE_AHEAD) {
      this.#stream.once("drain", () => this.resume());
      return true;
    }
    if (!this.#host.congested) return false;
    this.#awaitingRoom = true;
    this.#host.awaitRoom(this);
    return true;
  }

  #sendTrailers(): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const trailers = this.#body?.trailers;
    try {
      stream.sendTrailers(trailers === undefined ? {} : trailerObject(trailers));
    } catch (error) {
      this.fail(error);
    }
  }
}

/**
 * RST_STREAM and nothing else. On this runtime only `destroy` with an error does that; without one, and in `close`, the
 * stream is first ended in order.
 */
export function resetStream(stream: ServerHttp2Stream, code: number, why: Error): void {
  (stream as { rstCode: number }).rstCode = code;
  stream.destroy(why);
}
