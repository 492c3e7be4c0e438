import { type Body, type HeaderList, SluiceError } from "sluice/plugin";
import { wrongLength } from "../http1/answer-stream.ts";
import { clientStalled } from "../http1/departures.ts";
import { OwnedMemory } from "../http1/owned-memory.ts";
import { MAX_FRAME, type RoomSeeker } from "../http2/index.ts";
import { answerFields, trailerFields } from "./h2-answer-fields.ts";
import type { H2Stream, StreamHost } from "./h2-stream.ts";
import type { Sent } from "./inbound.ts";

/** One answer on its way out: pulls the body no faster than the client takes it. */
export class H2Answer implements RoomSeeker {
  /** Whether END_STREAM was sent. */
  ended = false;
  readonly #stream: H2Stream;
  readonly #host: StreamHost;
  readonly #firstByteAt: number;
  #body: Body | null = null;
  /** Where the body's chunks are ours alone. */
  #memory: OwnedMemory | undefined;
  /** What of the body is to be sent next; `#at` of it was. */
  #chunk: Uint8Array | undefined;
  #at = 0;
  #bytes = 0;
  /** Coarse time since which the client takes nothing of what is there; 0 while it does. */
  #stalledSince = 0;
  /** It is this stream's window that is shut; otherwise it waits for its turn, and had been sent `#usedBefore`. */
  #isShut = false;
  #usedBefore = 0;
  #sent: Sent | undefined;
  #resolve: ((sent: Sent) => void) | undefined;
  // Made when they are needed: most bodies need none, or the one.
  #ready: (() => void) | undefined;
  #arrived: ((chunk: Uint8Array | null) => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;

  /** @param firstByteAt `clock.monotonic()` */
  constructor(stream: H2Stream, host: StreamHost, firstByteAt: number) {
    this.#stream = stream;
    this.#host = host;
    this.#firstByteAt = firstByteAt;
  }

  /** Sends the head, and of the body what is at hand. Never throws or rejects. */
  begin(status: number, headers: HeaderList, body: Body | null, date: string): Sent | Promise<Sent> {
    this.#body = body;
    try {
      if (status < 200 || status > 599) {
        // RFC 9110 §15: outside of that no status has a meaning.
        throw new SluiceError("upstream_failed", `HTTP/2 does not carry the status ${status} here`, {
          reason: "protocol",
        });
      }
      const { method, id } = this.#stream;
      const bodiless = method === "HEAD" || status === 204 || status === 304;
      if (body === null || bodiless) {
        body?.cancel();
        // The length of a body that is not sent says something only here (RFC 9110 §8.6).
        const keepLength = method === "HEAD" || status === 304;
        this.#host.writer.headers(id, answerFields(status, headers, undefined, keepLength, date), true);
        this.#finish();
      } else {
        this.#host.writer.headers(id, answerFields(status, headers, body.length, false, date), false);
        if (body.own?.() === true) this.#memory = new OwnedMemory();
        this.#pump();
      }
    } catch (error) {
      this.fail(error);
    }
    return this.#sent ?? this.#settled();
  }

  /** The stream is over; `why` it was not complete, if it was not. */
  close(why: unknown): void {
    if (this.#sent !== undefined) return;
    this.#settle(false, why);
    this.#chunk = undefined;
    this.#host.sendRoom.forget(this);
    try {
      this.#body?.cancel(why);
    } catch (error) {
      // A plugin's own. The connection is full of others' streams.
      this.#host.shared.log.error({ err: error }, "an answer's body could not be cancelled");
    }
  }

  /** Gives up on a client that has not taken a piece for `timeout` milliseconds. `now` is above 0. */
  sweep(now: number, timeout: number): void {
    if (this.#stalledSince === 0) return;
    const { used } = this.#host.sendRoom;
    if (!this.#isShut && used !== this.#usedBefore) {
      // The client reads; it has that many answers that each takes its time.
      this.#usedBefore = used;
      this.#stalledSince = now;
    } else if (now - this.#stalledSince >= timeout) this.fail(clientStalled());
  }

  /** The stream's window may have opened. */
  windowOpened(): void {
    if (!this.#isShut) return;
    this.#isShut = false;
    this.#pump();
  }

  roomAgain(): void {
    this.#pump();
  }

  /** Breaks the answer off: with RST_STREAM, never END_STREAM, or the client takes it for whole. */
  fail(error: unknown): void {
    if (this.#sent === undefined) this.#stream.answerFailed(error);
  }

  /** Sends what is there, until there is something to wait for. */
  #pump(): void {
    try {
      while (this.#sent === undefined) {
        if (this.#chunk !== undefined && !this.#write(this.#chunk)) return;
        const body = this.#body!;
        const next = body.poll === undefined ? body.read() : body.poll();
        if (next === undefined) {
          body.wait!((this.#ready ??= () => this.#pump()));
          return;
        }
        if (next instanceof Promise) {
          this.#await(next);
          return;
        }
        if (!this.#take(next)) return;
      }
    } catch (error) {
      this.fail(error);
    }
  }

  #await(next: Promise<Uint8Array | null>): void {
    this.#arrived ??= (chunk) => {
      if (this.#sent === undefined && this.#take(chunk)) this.#pump();
    };
    this.#failed ??= (error) => this.fail(error);
    next.then(this.#arrived, this.#failed);
  }

  /** What the body gave. @returns false at its end */
  #take(next: Uint8Array | null): boolean {
    const { length } = this.#body!;
    const bytes = this.#bytes + (next?.byteLength ?? 0);
    // RFC 9113 §8.1.1: a body unlike its content-length would be malformed.
    if (length !== undefined && (next === null ? bytes !== length : bytes > length)) {
      this.fail(wrongLength(length));
      return false;
    }
    if (next === null) {
      this.#end();
      return false;
    }
    this.#bytes = bytes;
    this.#chunk = next;
    this.#at = 0;
    this.#memory?.begin(next);
    return true;
  }

  /** Sends of `chunk` what there is room for. @returns whether that was all of it */
  #write(chunk: Uint8Array): boolean {
    const stream = this.#stream;
    const { writer, sendRoom, shared } = this.#host;
    const { byteLength } = chunk;
    while (this.#at < byteLength) {
      const count = Math.min(byteLength - this.#at, MAX_FRAME, stream.sendWindow, sendRoom.room);
      if (count <= 0) {
        this.#stalledSince ||= shared.now;
        this.#isShut = stream.sendWindow <= 0;
        if (!this.#isShut) sendRoom.await(this);
        return false;
      }
      this.#stalledSince = 0;
      stream.sendWindow -= count;
      sendRoom.use(count);
      writer.data(stream.id, chunk, this.#at, this.#at + count, false);
      this.#at += count;
    }
    this.#chunk = undefined;
    // Its bytes are in the frames now.
    this.#memory?.end(chunk);
    return true;
  }

  #end(): void {
    const { writer } = this.#host;
    const { id } = this.#stream;
    const trailers = trailerFields(this.#body!.trailers);
    if (trailers.length === 0) writer.end(id);
    else writer.headers(id, trailers, true);
    this.#finish();
  }

  #finish(): void {
    this.ended = true;
    this.#settle(true, undefined);
    this.#stream.answerEnded();
  }

  #settle(complete: boolean, error: unknown): void {
    const unsent = this.#chunk === undefined ? 0 : this.#chunk.byteLength - this.#at;
    this.#sent = { bytes: this.#bytes - unsent, complete, firstByteAt: this.#firstByteAt, error };
    this.#resolve?.(this.#sent);
  }

  #settled(): Promise<Sent> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}
